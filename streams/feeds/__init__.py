"""Product feeds for `freshet import`.

Read in this order: `feed` (a file -> `rows`), `columns` (names of columns -> a product), `tables` (CSV, TSV),
`json_files` (JSON Lines, JSON, schema.org JSON-LD), `rss` (Google Merchant XML), `parquet_feed`.
"""
