"""What all tests share: hypothesis without a deadline, since timing is no test's business here."""

from hypothesis import settings

settings.register_profile("sweep", deadline=None)
settings.load_profile("sweep")
