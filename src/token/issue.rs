//! Writes and signs access tokens.

use jsonwebtoken::Header;
use serde::Serialize;

use super::claims::{AccessClaims, TokenForm};
use super::keys::{KeyError, SigningKey};

/// Writes the claims in one form and signs them. The header is `typ`, `alg` and `kid` and nothing else.
pub fn issue(claims: &AccessClaims, key: &SigningKey, form: TokenForm) -> Result<String, KeyError> {
    sign(form.header_type(), &claims.payload(form), key)
}

/// Signs a payload as a token of this type (RFC 7515 §4.1.9).
pub fn sign(header_type: &str, payload: &impl Serialize, key: &SigningKey) -> Result<String, KeyError> {
    let mut header = Header::new(key.algorithm().into());
    header.typ = Some(header_type.to_owned());
    header.kid = Some(key.id().to_string());
    jsonwebtoken::encode(&header, payload, key.encoding_key()).map_err(|_| KeyError::CannotSign(key.algorithm()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::config::Algorithm;
    use crate::token::support::{decoded, key, sample_claims};

    #[rstest]
    fn jwt_06_and_11_a_token_says_this_and_nothing_else(
        #[values(Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Hs256)] algorithm: Algorithm,
    ) {
        let claims = sample_claims();
        let token = issue(&claims, key(algorithm), TokenForm::Standard).unwrap();

        let (header, payload) = decoded(&token);
        assert_eq!(header, json!({"typ": "at+jwt", "alg": algorithm.as_str(), "kid": key(algorithm).id().as_str()}));
        assert_eq!(
            payload,
            json!({
                "iss": "https://vigie.example",
                "aud": "vigie",
                "sub": claims.subject,
                "client_id": "agenda",
                "sid": claims.session_id,
                "jti": claims.token_id,
                "iat": 1_800_000_000,
                "exp": 1_800_000_600,
                "auth_time": 1_799_999_000,
                "amr": ["pwd"],
                "role": "agent",
                "gen": 3,
            })
        );
    }

    #[test]
    fn the_legacy_form_says_jwt_and_repeats_the_user_id() {
        let claims = sample_claims();
        let (header, payload) = decoded(&issue(&claims, key(Algorithm::Hs256), TokenForm::Legacy).unwrap());
        assert_eq!(header["typ"], "JWT");
        assert_eq!(payload["userId"], json!(claims.subject));
        assert_eq!(payload["sub"], json!(claims.subject));
    }
}
