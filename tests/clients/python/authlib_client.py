"""An application that asks Vigie with the Python package Authlib, and verifies what is signed with joserfc.

Each line of the input is a call as JSON, each line of the output its answer: {"is": …}, or {"failed": …}. Calls:
{"call": "discover", "issuer", "id", "method", "secret"?, "key"?: {"pem", "kid"}}, then "introspect", "introspect_signed", "revoke" and "verify",
each with a "token"; "verify" also with an "audience".
"""

import json
import sys
import time

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

SIGNED = "application/token-introspection+jwt"


class Refused(Exception):
    """What the server said."""


class Assertion(PrivateKeyJWT):
    """The package's own assertion lives an hour, which Vigie does not take: five minutes are the most.

    Its constructor takes claims, but keeps the `jti` of the first assertion in them; Vigie takes each once.
    """

    def sign(self, auth, audience):
        claims = {"exp": int(time.time()) + 60}
        header = {"kid": auth.client_secret.kid}
        return private_key_jwt_sign(auth.client_secret, auth.client_id, audience, alg="ES256", claims=claims, header=header)


class Client:
    def discover(self, issuer, id, method, secret=None, key=None):
        answer = requests.get(get_well_known_url(issuer, external=True, suffix="oauth-authorization-server"), timeout=10)
        self.server = AuthorizationServerMetadata(answer.json())
        # `validate()` of the package asks for https, and for a token endpoint and response types, of which Vigie has none. Its
        # checks of the other members are run one by one.
        for member in ["introspection_endpoint_auth_methods_supported",
                       "introspection_endpoint_auth_signing_alg_values_supported",
                       "revocation_endpoint_auth_methods_supported",
                       "revocation_endpoint_auth_signing_alg_values_supported"]:
            getattr(self.server, f"validate_{member}")()
        # And the issuer is compared by nobody else.
        if self.server["issuer"] != issuer:
            raise ValueError("another issuer")
        self.id = id
        self.session = OAuth2Session(id, secret, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method)
        if method == "private_key_jwt":
            self.session.client_secret = ECKey.import_key(key["pem"], {"kid": key["kid"]})
            # Without an argument the package names the endpoint as the audience; Vigie takes its issuer alone.
            self.session.register_client_auth_method(Assertion(issuer))
        return dict(self.server)

    def introspect(self, token):
        return read(self.session.introspect_token(self.server["introspection_endpoint"], token=token)).json()

    def introspect_signed(self, token):
        # The package has no word for this: it passes the header on.
        headers = {"Accept": SIGNED, "Content-Type": "application/x-www-form-urlencoded"}
        answer = read(self.session.introspect_token(self.server["introspection_endpoint"], token=token, headers=headers))
        if answer.headers["Content-Type"] != SIGNED:
            raise ValueError(f"not signed: {answer.headers['Content-Type']}")
        told = self.decode(answer.text, "token-introspection+jwt")
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self.server["issuer"]},
            aud={"essential": True, "value": self.id},
            iat={"essential": True},
        ).validate(told)
        return told["token_introspection"]

    def revoke(self, token):
        read(self.session.revoke_token(self.server["revocation_endpoint"], token=token))

    def verify(self, token, audience):
        claims = self.decode(token, "at+jwt")
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self.server["issuer"]},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
        ).validate(claims)
        return claims

    def decode(self, text, kind):
        """What a token says whose signature is one of the server's."""
        keys = KeySet.import_key_set(requests.get(self.server["jwks_uri"], timeout=10).json())
        algorithms = self.server["introspection_signing_alg_values_supported"]
        token = jwt.decode(text, keys, algorithms=algorithms)
        if token.header["typ"] != kind:
            raise ValueError(f"a token of another kind: {token.header['typ']}")
        return token.claims


def read(answer):
    if answer.status_code != 200:
        raise Refused({"error": answer.json()["error"], "status": answer.status_code})
    return answer


def main():
    client = Client()
    for line in sys.stdin:
        asked = json.loads(line)
        call = getattr(client, asked.pop("call"))
        try:
            answer = {"is": call(**asked)}
        except Refused as error:
            answer = {"failed": error.args[0]}
        except Exception as error:
            answer = {"failed": {"name": type(error).__name__, "message": str(error)}}
        print(json.dumps(answer), flush=True)


main()
