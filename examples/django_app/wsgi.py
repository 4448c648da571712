"""What a web server imports. The scheduler starts here, once per process that serves requests."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_app.settings")
application = get_wsgi_application()

from django_app.jobs import scheduler  # noqa: E402 - needs the settings

scheduler.start()
