"""FastAPI with httpx: it asks Vigie about each token, so logged out means logged out."""

import os
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

CLIENT = (os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"])
vigie = httpx.AsyncClient(base_url=os.environ["VIGIE_URL"], auth=CLIENT, timeout=5)
bearer = HTTPBearer(auto_error=False)


async def authenticated(sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> dict:
    if sent is None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    try:
        answer = await vigie.post("/oauth/introspect", data={"token": sent.credentials})
        answer.raise_for_status()
    except httpx.HTTPError:
        # Nothing was decided: nobody is let in, and nobody is told to log in again.
        raise HTTPException(503, headers={"Retry-After": "1"})
    user = answer.json()
    # A refresh token has no type. It is no access token, although this client may be told that it is active.
    if not user["active"] or user.get("token_type") != "Bearer":
        raise HTTPException(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return user


app = FastAPI()


@app.get("/")
async def who(user: Annotated[dict, Depends(authenticated)]):
    return {"user": user["sub"], "name": user["username"], "role": user["role"], "session": user["sid"]}
