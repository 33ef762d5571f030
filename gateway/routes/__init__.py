"""The routes, a module a subject: `writes`, `recommendations`, `items`, `search`, `operations`, `pages`."""
