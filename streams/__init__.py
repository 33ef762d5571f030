"""The shells round the core: Kafka, Faust, Redis, files.

Read in this order:

- `settings`, `settings_page`, `policy`, `clock`, `logs`, `retry`: what all of these use
- `wire`, `topics`, `dead_letters`: messages, where they stand, and what is refused
- `log`, `topics_check`, `apps`: Kafka and the embedded log, and Faust on either
- `stores`, `snapshots`, `catalogue_file`: views outside the process, in Redis and in files
- `views`, `shared_views`: what each process keeps whole, followed live
- `pictures`, `agents`: the work, products to vectors and clicks to lists
- `click_fold`, `leadership`, `trainer`: the factors
- `processes`, `metrics`, `reach`, `status`, `supervise`: all of it opened, watched and kept alive
- `text_files`, `event_files`, `feeds`: files from outside, for the commands that read them
"""
