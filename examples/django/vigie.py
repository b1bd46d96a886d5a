"""Middleware for Django 5 with requests: it asks Vigie about each token, so logged out means logged out."""

import os

import requests
from django.http import HttpResponse

VIGIE = os.environ["VIGIE_URL"] + "/oauth/introspect"
CLIENT = (os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"])


def authenticate(get_response):
    def middleware(request):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
        try:
            answer = requests.post(VIGIE, data={"token": token}, auth=CLIENT, timeout=5)
            answer.raise_for_status()
        except requests.RequestException:
            # Nothing was decided: nobody is let in, and nobody is told to log in again.
            return HttpResponse(status=503, headers={"Retry-After": "1"})
        request.vigie = user = answer.json()
        # A refresh token has no type. It is no access token, although this client may be told that it is active.
        if not user["active"] or user.get("token_type") != "Bearer":
            return HttpResponse(status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return get_response(request)

    return middleware
