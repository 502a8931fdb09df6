"""The service: a queue of studies in a shared storage, workers that take from it, and a server.

`submission` puts a study with its data in the queue, `worker` takes it out and runs it, `app` is
the server with its pages and its API; `limits` says what may be asked of it, `guard` who may ask,
`pages` shows its own pages and refusals.
"""
