"""The page: hides, sends and receives in a browser, with nothing leaving the machine that it runs on.

`site` says which files it has, `server` serves them on this machine, `export` writes them for any other server. What is
in the folder `site` is built from the sources in `web/` of the repository.
"""
