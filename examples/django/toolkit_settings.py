"""Django 5 with django-oauth-toolkit 3.4 as a resource server."""

import os

SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "toolkit_urls"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"]
# A database that may be lost with the machine: whatever is in it, Vigie is asked again for.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": "db.sqlite3",
        "OPTIONS": {"init_command": "PRAGMA synchronous = OFF"},
    }
}

OAUTH2_PROVIDER = {
    # A client that logs nobody in: of its own sessions, Vigie says that refresh tokens are active too, and the package does not
    # look at `token_type`.
    "RESOURCE_SERVER_INTROSPECTION_URL": os.environ["VIGIE_URL"] + "/oauth/introspect",
    "RESOURCE_SERVER_INTROSPECTION_CREDENTIALS": (os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]),
    # By default 36000: a logout would go unnoticed until the token expires. With 0 every token is refused.
    "RESOURCE_SERVER_TOKEN_CACHING_SECONDS": 1,
    # The package takes `aud` for the address of the application. Vigie looks at it (`vigie client add --audience`).
    "RESOURCE_SERVER_TOKEN_RESOURCE_VALIDATOR": None,
    # Tokens are kept as digests.
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
}
