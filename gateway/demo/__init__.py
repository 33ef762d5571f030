"""What `freshet demo` shows, in the order it is made.

`colours`, `departments`, `drawings` (what the sample shop sells), `studio` (its pictures), `shop` (the
products), `procedural` (a drawn catalogue of any size), `shoppers` (who buys), `panel` (the terminal),
`run` (all of it in one process).
"""
