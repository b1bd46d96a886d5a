//! Decides whether a token is ours, meant for us, and within its time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::claims::{AccessClaims, TokenForm, TokenTimes};
use super::compact::{CompactToken, read_object};
use super::keys::{VerificationKeySet, VerifyingKey};
use super::refusal::TokenRefusal;
use crate::config::Algorithm;

/// The longest `kid` that is looked up, in characters.
const MAX_KEY_ID_LENGTH: usize = 128;

/// What a token must say to be accepted.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// What `iss` must be, to the letter.
    pub issuer: &'a str,
    /// What `aud` must be or contain.
    pub audience: &'a str,
    /// Which form of token is accepted.
    pub form: TokenForm,
    /// How far in the future `iat` and `nbf` may lie. Expiry has no tolerance.
    pub tolerance: Duration,
    /// The time of day at which it is judged.
    pub now: DateTime<Utc>,
}

/// Reads a token and says what it claims, or why it is refused (RFC 9068 §4, RFC 8725).
///
/// The signature comes first: nothing that somebody else wrote is read as claims. The time comes last, so that
/// [`TokenRefusal::Expired`] and [`TokenRefusal::NotYetValid`] are only ever said of a token that is ours in every other
/// respect.
///
/// With ES256 a token has a second valid signature, (r, n − s). That is harmless: what a token is worth is decided by
/// its session, named in the signed part, never by its text.
pub fn verify(
    text: &str,
    keys: &VerificationKeySet,
    expected: &Expectations<'_>,
) -> Result<AccessClaims, TokenRefusal> {
    let (claims, _) = genuine(text, keys, expected)?;
    check_times(&claims.times(), expected)?;
    Ok(claims)
}

/// The same whatever its times, and which key signed it: whether that key is still good may have changed since it was put on
/// the set.
pub fn genuine<'keys>(
    text: &str,
    keys: &'keys VerificationKeySet,
    expected: &Expectations<'_>,
) -> Result<(AccessClaims, &'keys VerifyingKey), TokenRefusal> {
    let token = CompactToken::split(text)?;
    let key = named_key(&token.header, keys, expected.form)?;
    if !key.verifies(token.signed, token.signature) {
        return Err(TokenRefusal::Signature);
    }
    let claims = AccessClaims::read(&read_object(&token.payload)?, expected.audience)?;
    if claims.issuer != expected.issuer {
        return Err(TokenRefusal::Issuer);
    }
    Ok((claims, key))
}

/// The key that the header names, if everything else in the header is what we write as well (JWT-01 to JWT-04).
fn named_key<'keys>(
    header: &Map<String, Value>,
    keys: &'keys VerificationKeySet,
    form: TokenForm,
) -> Result<&'keys VerifyingKey, TokenRefusal> {
    if header.keys().any(|name| !matches!(name.as_str(), "alg" | "typ" | "kid")) {
        return Err(TokenRefusal::HeaderRefused);
    }
    let member = |name| header.get(name).and_then(Value::as_str);
    let algorithm: Algorithm = member("alg").and_then(|name| name.parse().ok()).ok_or(TokenRefusal::Algorithm)?;
    if !member("typ").is_some_and(|header_type| form.accepts_type(header_type)) {
        return Err(TokenRefusal::Type);
    }
    let key = member("kid")
        .filter(|id| id.len() <= MAX_KEY_ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_graphic()))
        .and_then(|id| keys.lookup(id))
        .ok_or(TokenRefusal::KeyUnknown)?;
    if key.algorithm() == algorithm { Ok(key) } else { Err(TokenRefusal::Algorithm) }
}

/// Accepted iff `iat` and `nbf` ≤ now + tolerance, and now < `exp` (RFC 7519 §4.1.4: not at `exp` itself).
pub fn check_times(times: &TokenTimes, expected: &Expectations<'_>) -> Result<(), TokenRefusal> {
    let is_ahead = |time: DateTime<Utc>| (time - expected.now).to_std().is_ok_and(|ahead| ahead > expected.tolerance);
    if is_ahead(times.issued_at) || times.not_before.is_some_and(is_ahead) {
        return Err(TokenRefusal::NotYetValid);
    }
    if times.expires_at <= expected.now {
        return Err(TokenRefusal::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::model::id::{SessionId, TokenId, UserId};
    use crate::token::issue::issue;
    use crate::token::keys::SigningKey;
    use crate::token::support::{key, key_set, sample_claims, second, signed};

    const ES256: Algorithm = Algorithm::Es256;

    /// Expects what `sample_claims` says, ten seconds after it was issued.
    fn expected() -> Expectations<'static> {
        Expectations {
            issuer: "https://vigie.example",
            audience: "vigie",
            form: TokenForm::Standard,
            tolerance: Duration::from_secs(10),
            now: second(1_800_000_010),
        }
    }

    fn all_keys() -> VerificationKeySet {
        key_set(Algorithm::ALL)
    }

    fn judge(token: &str) -> Result<AccessClaims, TokenRefusal> {
        verify(token, &all_keys(), &expected())
    }

    fn sample_header(key: &SigningKey) -> Value {
        json!({"typ": "at+jwt", "alg": key.algorithm(), "kid": key.id().as_str()})
    }

    fn sample_payload() -> Value {
        serde_json::to_value(sample_claims().payload(TokenForm::Standard)).unwrap()
    }

    fn judge_header(header: &Value) -> Result<AccessClaims, TokenRefusal> {
        judge(&signed(key(ES256), header.to_string(), sample_payload().to_string()))
    }

    fn judge_payload(payload: &Value) -> Result<AccessClaims, TokenRefusal> {
        judge(&signed(key(ES256), sample_header(key(ES256)).to_string(), payload.to_string()))
    }

    fn with(mut object: Value, member: &str, value: Value) -> Value {
        object[member] = value;
        object
    }

    fn without(mut object: Value, member: &str) -> Value {
        object.as_object_mut().unwrap().remove(member).unwrap();
        object
    }

    #[rstest]
    fn what_we_issue_is_accepted_and_read_as_it_was_written(
        #[values(Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Hs256)] algorithm: Algorithm,
        #[values(TokenForm::Standard, TokenForm::Legacy)] form: TokenForm,
    ) {
        let claims = sample_claims();
        let token = issue(&claims, key(algorithm), form).unwrap();
        assert_eq!(verify(&token, &all_keys(), &Expectations { form, ..expected() }), Ok(claims));
    }

    #[rstest]
    fn any_changed_bit_is_refused(
        #[values(Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Hs256)] algorithm: Algorithm,
    ) {
        let token = issue(&sample_claims(), key(algorithm), TokenForm::Standard).unwrap();
        let keys = all_keys();
        assert!(verify(&token, &keys, &expected()).is_ok());
        for position in 0..token.len() * 8 {
            let mut bytes = token.clone().into_bytes();
            bytes[position / 8] ^= 1 << (position % 8);
            // Half of the changed texts are no UTF-8 and never come this far.
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(verify(&changed, &keys, &expected()).is_err(), "bit {position}: {changed}");
        }
    }

    #[test]
    fn any_shortened_or_lengthened_token_is_refused() {
        let token = issue(&sample_claims(), key(ES256), TokenForm::Standard).unwrap();
        for length in 0..token.len() {
            assert!(judge(&token[..length]).is_err(), "cut to {length}");
        }
        for tail in ["A", "=", ".", " ", "\n", "\0", "é"] {
            assert!(judge(&format!("{token}{tail}")).is_err(), "{tail:?}");
            assert!(judge(&format!("{tail}{token}")).is_err(), "{tail:?}");
        }
    }

    #[test]
    fn jwt_01_only_the_exact_names_of_our_algorithms_are_read() {
        let names = [
            "none", "None", "NONE", "nOnE", "", "es256", "ES256 ", "Es256", "HS384", "HS512", "ES384", "ES512",
            "ES256K", "RS384", "PS256", "Ed25519", "EdDSA ", "eddsa", "A128KW", "dir",
        ];
        for name in names {
            let header = with(sample_header(key(ES256)), "alg", json!(name));
            assert_eq!(judge_header(&header), Err(TokenRefusal::Algorithm), "{name:?}");
        }
        for other in [json!(null), json!(1), json!(["ES256"]), json!({"ES256": 1})] {
            let header = with(sample_header(key(ES256)), "alg", other);
            assert_eq!(judge_header(&header), Err(TokenRefusal::Algorithm));
        }
        assert_eq!(judge_header(&without(sample_header(key(ES256)), "alg")), Err(TokenRefusal::Algorithm));
    }

    #[test]
    fn jwt_01_a_token_without_signature_is_refused() {
        let header = with(sample_header(key(ES256)), "alg", json!("none")).to_string();
        let unsigned =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(sample_payload().to_string()));
        assert_eq!(judge(&format!("{unsigned}.")), Err(TokenRefusal::Malformed));
        assert_eq!(judge(&unsigned), Err(TokenRefusal::Malformed));
        assert_eq!(judge(&format!("{unsigned}.AA")), Err(TokenRefusal::Algorithm));
    }

    /// The ways in which a public key can be written as bytes.
    fn public_bytes(key: &SigningKey) -> Vec<Vec<u8>> {
        let jwk = key.public_jwk().unwrap();
        let member = |name: &str| jwk.get(name).map(|value| URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap());
        let mut forms = vec![jwk.to_string().into_bytes(), key.id().as_str().as_bytes().to_vec()];
        if let (Some(x), Some(y)) = (member("x"), member("y")) {
            let point = [vec![4], x, y].concat();
            let prefix = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
            let prefix: Vec<u8> =
                (0..prefix.len()).step_by(2).map(|i| u8::from_str_radix(&prefix[i..i + 2], 16).unwrap()).collect();
            let der = [prefix, point.clone()].concat();
            let body = STANDARD.encode(&der);
            let lines = body.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + "\n").collect::<String>();
            let pem = format!("-----BEGIN PUBLIC KEY-----\n{lines}-----END PUBLIC KEY-----\n");
            forms.extend([point, der, pem.trim_end().as_bytes().to_vec(), pem.into_bytes()]);
        } else {
            forms.extend(["x", "n"].iter().filter_map(|name| member(name)));
        }
        forms
    }

    #[rstest]
    fn jwt_02_an_hmac_made_with_the_public_key_is_refused(
        #[values(Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256)] algorithm: Algorithm,
        #[values("HS256", "own")] claimed: &str,
    ) {
        let key = key(algorithm);
        let alg = if claimed == "own" { json!(algorithm) } else { json!(claimed) };
        let refusal = if claimed == "own" { TokenRefusal::Signature } else { TokenRefusal::Algorithm };
        let header = with(sample_header(key), "alg", alg).to_string();
        for secret in public_bytes(key) {
            let forger = jsonwebtoken::EncodingKey::from_secret(&secret);
            let message =
                format!("{}.{}", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(sample_payload().to_string()));
            let signature =
                jsonwebtoken::crypto::sign(message.as_bytes(), &forger, jsonwebtoken::Algorithm::HS256).unwrap();
            assert_eq!(judge(&format!("{message}.{signature}")), Err(refusal));
        }
    }

    #[test]
    fn jwt_02_a_key_is_only_used_with_its_own_algorithm() {
        for (named, claimed) in Algorithm::ALL.iter().flat_map(|a| Algorithm::ALL.iter().map(move |b| (*a, *b))) {
            let header = with(sample_header(key(named)), "alg", json!(claimed)).to_string();
            let token = signed(key(claimed), header, sample_payload().to_string());
            let refusal = if named == claimed { None } else { Some(TokenRefusal::Algorithm) };
            assert_eq!(judge(&token).err(), refusal, "key of {named} with alg {claimed}");
        }
    }

    #[test]
    fn jwt_02_another_key_of_the_same_algorithm_is_refused() {
        let stranger = SigningKey::generate(ES256).unwrap();
        let token = signed(&stranger, sample_header(key(ES256)).to_string(), sample_payload().to_string());
        assert_eq!(judge(&token), Err(TokenRefusal::Signature));
    }

    /// The order of P-256.
    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

    fn number(hex: &str) -> Vec<u8> {
        (0..64).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    /// An integer in DER: without leading zeros, and with one where the first bit is set (X.690 §8.3).
    fn der_integer(bytes: &[u8]) -> Vec<u8> {
        let mut body: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        if body[0] & 0x80 != 0 {
            body.insert(0, 0);
        }
        [vec![2, u8::try_from(body.len()).unwrap()], body].concat()
    }

    #[test]
    fn jwt_02_degenerate_or_der_signatures_are_refused_under_es256() {
        let token = issue(&sample_claims(), key(ES256), TokenForm::Standard).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let (r, s) = signature.split_at(32);
        let (zero, one, order) = (vec![0; 32], [vec![0; 31], vec![1]].concat(), number(ORDER));
        let integers = [der_integer(r), der_integer(s)].concat();
        let der = [vec![0x30, u8::try_from(integers.len()).unwrap()], integers].concat();
        let forged = [
            [zero.clone(), zero.clone()].concat(),
            [zero.clone(), s.to_vec()].concat(),
            [r.to_vec(), zero.clone()].concat(),
            [order.clone(), s.to_vec()].concat(),
            [r.to_vec(), order.clone()].concat(),
            [order.clone(), order].concat(),
            [one.clone(), one].concat(),
            vec![0xff; 64],
            signature[..63].to_vec(),
            [signature.clone(), vec![0]].concat(),
            [vec![0], signature.clone()].concat(),
            [vec![0], r.to_vec(), vec![0], s.to_vec()].concat(),
            [s, r].concat(),
            der,
        ];
        for bytes in forged {
            let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(&bytes));
            assert_eq!(judge(&token), Err(TokenRefusal::Signature), "{bytes:02x?}");
        }
        assert!(judge(&token).is_ok());
    }

    #[rstest]
    fn jwt_02_signatures_of_another_length_are_refused(
        #[values(Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Hs256)] algorithm: Algorithm,
    ) {
        let token = issue(&sample_claims(), key(algorithm), TokenForm::Standard).unwrap();
        let (message, _) = token.rsplit_once('.').unwrap();
        for length in [1, 16, 31, 32, 33, 63, 64, 65, 96, 383, 384, 385] {
            let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(vec![0; length]));
            assert_eq!(judge(&token), Err(TokenRefusal::Signature), "{length}");
        }
    }

    #[test]
    fn jwt_03_a_header_that_brings_or_points_to_a_key_is_refused() {
        let jwk = key(ES256).public_jwk().unwrap().clone();
        let members = [
            ("jku", json!("https://evil.example/jwks.json")),
            ("x5u", json!("https://evil.example/cert.pem")),
            ("jwk", jwk),
            ("x5c", json!(["AA=="])),
            ("x5t", json!("AA")),
            ("x5t#S256", json!("AA")),
            ("crit", json!(["x"])),
            ("crit", json!([])),
            ("b64", json!(false)),
            ("b64", json!(true)),
            ("cty", json!("JWT")),
            ("zip", json!("DEF")),
            ("enc", json!("A256GCM")),
            ("p2c", json!(1_000_000_000)),
            ("x", json!(null)),
        ];
        for (name, value) in members {
            let header = with(sample_header(key(ES256)), name, value);
            assert_eq!(judge_header(&header), Err(TokenRefusal::HeaderRefused), "{name}");
        }
    }

    #[test]
    fn jwt_03_a_kid_is_only_ever_looked_up() {
        let names = [
            json!(""),
            json!("' OR 1=1--"),
            json!("../../k"),
            json!("/dev/null"),
            json!("x".repeat(128)),
            json!("x".repeat(129)),
            json!("x".repeat(4000)),
            json!("\u{0}"),
            json!("clé"),
            json!(null),
            json!(1),
            json!([key(ES256).id().as_str()]),
            json!(format!("{} ", key(ES256).id())),
            json!(key(ES256).id().as_str().to_lowercase()),
        ];
        for name in names {
            let header = with(sample_header(key(ES256)), "kid", name);
            assert_eq!(judge_header(&header), Err(TokenRefusal::KeyUnknown), "{header}");
        }
        assert_eq!(judge_header(&without(sample_header(key(ES256)), "kid")), Err(TokenRefusal::KeyUnknown));
        let header = with(sample_header(key(ES256)), "kid", json!("x".repeat(1 << 20)));
        assert_eq!(judge_header(&header), Err(TokenRefusal::TooLarge));
    }

    #[test]
    fn jwt_04_only_an_access_token_is_accepted() {
        for header_type in ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "Application/AT+jwt"] {
            let header = with(sample_header(key(ES256)), "typ", json!(header_type));
            assert!(judge_header(&header).is_ok(), "{header_type}");
        }
        let others = [
            "JWT",
            "jwt",
            "",
            "at",
            "at+jwt ",
            "application/jwt",
            "text/at+jwt",
            "logout+jwt",
            "secevent+jwt",
            "statuslist+jwt",
            "token-introspection+jwt",
            "dpop+jwt",
            "application/application/at+jwt",
        ];
        for header_type in others {
            let header = with(sample_header(key(ES256)), "typ", json!(header_type));
            assert_eq!(judge_header(&header), Err(TokenRefusal::Type), "{header_type}");
        }
        assert_eq!(judge_header(&with(sample_header(key(ES256)), "typ", json!(1))), Err(TokenRefusal::Type));
        assert_eq!(judge_header(&without(sample_header(key(ES256)), "typ")), Err(TokenRefusal::Type));
    }

    #[test]
    fn jwt_04_the_legacy_form_accepts_jwt_alone() {
        let legacy = Expectations { form: TokenForm::Legacy, ..expected() };
        for (header_type, accepted) in
            [("JWT", true), ("jwt", false), ("at+jwt", false), ("application/jwt", false), ("logout+jwt", false)]
        {
            let header = with(sample_header(key(ES256)), "typ", json!(header_type)).to_string();
            let token = signed(key(ES256), header, sample_payload().to_string());
            assert_eq!(verify(&token, &all_keys(), &legacy).is_ok(), accepted, "{header_type}");
        }
    }

    #[test]
    fn jwt_05_each_claim_must_be_there() {
        for claim in ["iss", "aud", "sub", "client_id", "sid", "jti", "iat", "exp", "auth_time", "amr", "role"] {
            assert_eq!(judge_payload(&without(sample_payload(), claim)), Err(TokenRefusal::ClaimMissing), "{claim}");
        }
    }

    #[test]
    fn jwt_05_each_claim_must_have_its_own_json_type() {
        let (text, list, object) = (json!("x"), json!(["x"]), json!({"x": 1}));
        let number_claims = ["iat", "exp", "nbf", "auth_time"];
        let not_numbers = [
            text.clone(),
            json!("1800000000"),
            json!(1_800_000_000.5),
            json!(-1),
            json!(253_402_300_800_u64),
            json!(u64::MAX),
            json!(1e300),
            json!(null),
            json!(true),
            list.clone(),
            object.clone(),
        ];
        for (claim, value) in number_claims.iter().flat_map(|claim| not_numbers.iter().map(move |v| (claim, v))) {
            let payload = with(sample_payload(), claim, value.clone());
            assert_eq!(judge_payload(&payload), Err(TokenRefusal::ClaimType), "{claim}: {value}");
        }
        for (claim, value) in ["iss", "client_id", "role", "aud", "amr"]
            .iter()
            .flat_map(|claim| [json!(1), json!(null), json!(false), object.clone(), json!([1])].map(|v| (claim, v)))
        {
            let payload = with(sample_payload(), claim, value.clone());
            assert_eq!(judge_payload(&payload), Err(TokenRefusal::ClaimType), "{claim}: {value}");
        }
        let id = sample_claims().subject.0;
        let not_ids = [
            text,
            json!(1),
            json!(null),
            list,
            json!(""),
            json!(id.simple().to_string()),
            json!(id.urn().to_string()),
            json!(id.braced().to_string()),
            json!(id.to_string().to_uppercase()),
        ];
        for (claim, value) in ["sub", "sid", "jti"].iter().flat_map(|claim| not_ids.iter().map(move |v| (claim, v))) {
            let payload = with(sample_payload(), claim, value.clone());
            assert_eq!(judge_payload(&payload), Err(TokenRefusal::ClaimType), "{claim}: {value}");
        }
    }

    #[test]
    fn jwt_05_numbers_that_are_not_plain_whole_numbers_are_refused() {
        let header = sample_header(key(ES256)).to_string();
        for spelling in ["1.8e9", "1800000000.0", "18e8", "-0", "01800000000", "+1800000000", "0x1", "1_800"] {
            let payload = sample_payload().to_string().replace("1800000000", spelling);
            assert!(judge(&signed(key(ES256), &header, payload)).is_err(), "{spelling}");
        }
    }

    #[test]
    fn jwt_05_the_issuer_must_be_ours_exactly() {
        for issuer in
            ["", "https://vigie.example/", "HTTPS://vigie.example", "http://vigie.example", "https://evil.example"]
        {
            let payload = with(sample_payload(), "iss", json!(issuer));
            assert_eq!(judge_payload(&payload), Err(TokenRefusal::Issuer), "{issuer}");
        }
    }

    #[test]
    fn jwt_05_the_audience_must_be_or_contain_us() {
        for audience in [json!("vigie"), json!(["vigie"]), json!(["other", "vigie"]), json!(["vigie", "vigie"])] {
            let claims = judge_payload(&with(sample_payload(), "aud", audience)).unwrap();
            assert_eq!(claims.audience, "vigie");
        }
        for audience in [json!(""), json!("Vigie"), json!("vigie "), json!([]), json!(["other"]), json!(["vigi", "e"])]
        {
            let payload = with(sample_payload(), "aud", audience.clone());
            assert_eq!(judge_payload(&payload), Err(TokenRefusal::Audience), "{audience}");
        }
        for audience in [json!(["vigie", 1]), json!([["vigie"]])] {
            let payload = with(sample_payload(), "aud", audience.clone());
            assert_eq!(judge_payload(&payload), Err(TokenRefusal::ClaimType), "{audience}");
        }
    }

    #[test]
    fn unknown_claims_are_passed_over() {
        let payload = with(sample_payload(), "scope", json!({"deep": [1, {"x": null}]}));
        assert_eq!(judge_payload(&payload), Ok(sample_claims_like(&payload)));
    }

    /// `sample_claims` with the random ids of a payload.
    fn sample_claims_like(payload: &Value) -> AccessClaims {
        let id = |name: &str| payload[name].as_str().unwrap().parse::<Uuid>().unwrap();
        AccessClaims {
            subject: UserId(id("sub")),
            session_id: SessionId(id("sid")),
            token_id: TokenId(id("jti")),
            ..sample_claims()
        }
    }

    #[test]
    fn jwt_07_a_repeated_member_is_refused_even_when_we_signed_it() {
        let header = sample_header(key(ES256)).to_string();
        let payload = sample_payload().to_string();
        let twice = payload.replacen('{', r#"{"sub":"0190a0a0-0000-7000-8000-000000000000","#, 1);
        assert_eq!(judge(&signed(key(ES256), &header, twice)), Err(TokenRefusal::DuplicateMember));
        let twice = header.replacen('{', r#"{"alg":"none","#, 1);
        assert_eq!(judge(&signed(key(ES256), twice, &payload)), Err(TokenRefusal::DuplicateMember));
        for payload in ["", "null", "[]", "1", "{", "\u{feff}{}"] {
            assert_eq!(judge(&signed(key(ES256), &header, payload)), Err(TokenRefusal::Malformed), "{payload:?}");
        }
    }

    #[test]
    fn jwt_07_an_encrypted_token_is_refused_at_once() {
        let header =
            URL_SAFE_NO_PAD.encode(r#"{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":1000000000,"p2s":"AA"}"#);
        assert_eq!(judge(&format!("{header}.AA.AA.AA.AA")), Err(TokenRefusal::Malformed));
    }

    #[rstest]
    #[case::at_the_last_moment("iat", 1_800_000_020, None)]
    #[case::one_second_later("iat", 1_800_000_021, Some(TokenRefusal::NotYetValid))]
    #[case::at_the_last_moment("nbf", 1_800_000_020, None)]
    #[case::one_second_later("nbf", 1_800_000_021, Some(TokenRefusal::NotYetValid))]
    #[case::long_past("nbf", 0, None)]
    #[case::far_future("nbf", 253_402_300_799, Some(TokenRefusal::NotYetValid))]
    #[case::just_before("exp", 1_800_000_011, None)]
    #[case::at_its_time("exp", 1_800_000_010, Some(TokenRefusal::Expired))]
    #[case::just_after("exp", 1_800_000_009, Some(TokenRefusal::Expired))]
    #[case::long_past("exp", 0, Some(TokenRefusal::Expired))]
    #[case::far_future("exp", 253_402_300_799, None)]
    fn jwt_08_the_edges_of_time(#[case] claim: &str, #[case] seconds: i64, #[case] refusal: Option<TokenRefusal>) {
        let payload = with(sample_payload(), claim, json!(seconds));
        assert_eq!(judge_payload(&payload).err(), refusal);
    }

    #[test]
    fn jwt_08_a_token_lives_until_the_last_microsecond_before_its_expiry() {
        let token = issue(&sample_claims(), key(ES256), TokenForm::Standard).unwrap();
        let at = |now| verify(&token, &all_keys(), &Expectations { now, ..expected() }).err();
        let expiry = sample_claims().expires_at;
        assert_eq!(at(expiry - TimeDelta::microseconds(1)), None);
        assert_eq!(at(expiry), Some(TokenRefusal::Expired));
        let earliest = sample_claims().issued_at - TimeDelta::seconds(10);
        assert_eq!(at(earliest), None);
        assert_eq!(at(earliest - TimeDelta::microseconds(1)), Some(TokenRefusal::NotYetValid));
    }

    #[test]
    fn expired_is_only_said_of_a_token_that_is_otherwise_ours() {
        let old = with(sample_payload(), "exp", json!(1));
        assert_eq!(judge_payload(&old), Err(TokenRefusal::Expired));
        let foreign =
            [with(old.clone(), "iss", json!("x")), with(old.clone(), "aud", json!("x")), without(old.clone(), "sid")];
        for payload in foreign {
            assert_ne!(judge_payload(&payload), Err(TokenRefusal::Expired));
        }
        let other_type = with(sample_header(key(ES256)), "typ", json!("JWT")).to_string();
        assert_eq!(judge(&signed(key(ES256), other_type, old.to_string())), Err(TokenRefusal::Type));
        let stranger = SigningKey::generate(ES256).unwrap();
        let forged = signed(&stranger, sample_header(key(ES256)).to_string(), old.to_string());
        assert_eq!(judge(&forged), Err(TokenRefusal::Signature));
    }

    #[test]
    fn jwt_10_a_token_of_the_old_key_lives_until_that_key_leaves_the_ring() {
        let (old, new) = (key(ES256), SigningKey::generate(ES256).unwrap());
        let token = issue(&sample_claims(), old, TokenForm::Standard).unwrap();
        let both: VerificationKeySet = [old.verifying(), new.verifying()].into_iter().collect();
        assert!(verify(&token, &both, &expected()).is_ok());
        let only_new: VerificationKeySet = [new.verifying()].into_iter().collect();
        assert_eq!(verify(&token, &only_new, &expected()), Err(TokenRefusal::KeyUnknown));
    }

    fn any_claims() -> impl Strategy<Value = AccessClaims> {
        let ids = (any::<u128>(), any::<u128>(), any::<u128>());
        let times =
            (0..=1_800_000_010_i64, 1_800_000_011..=253_402_300_799_i64, proptest::option::of(0..=1_800_000_020_i64));
        let texts = ("\\PC{0,40}", proptest::collection::vec("[a-z]{1,8}", 0..4), "\\PC{0,40}");
        (ids, times, texts).prop_map(
            |((subject, session, token), (issued, expires, not_before), (client, methods, role))| AccessClaims {
                subject: UserId(Uuid::from_u128(subject)),
                session_id: SessionId(Uuid::from_u128(session)),
                token_id: TokenId(Uuid::from_u128(token)),
                issued_at: second(issued),
                expires_at: second(expires),
                not_before: not_before.map(second),
                authenticated_at: second(issued / 2),
                client_id: client,
                methods,
                role,
                ..sample_claims()
            },
        )
    }

    proptest! {
        #[test]
        fn verify_gives_back_what_issue_was_given(
            claims in any_claims(),
            algorithm in proptest::sample::select(Algorithm::ALL),
            form in proptest::sample::select(vec![TokenForm::Standard, TokenForm::Legacy]),
        ) {
            let token = issue(&claims, key(algorithm), form).unwrap();
            let read = verify(&token, &all_keys(), &Expectations { form, ..expected() });
            prop_assert_eq!(read, Ok(claims));
        }

        #[test]
        fn no_text_is_a_token_and_none_makes_the_verifier_panic(text in "\\PC*|[A-Za-z0-9_.=-]{0,300}") {
            prop_assert!(judge(&text).is_err());
        }

        #[test]
        fn no_bytes_in_the_three_parts_are_a_token(
            header in any::<Vec<u8>>(), payload in any::<Vec<u8>>(), signature in any::<Vec<u8>>(),
            algorithm in proptest::sample::select(Algorithm::ALL), good_header in any::<bool>(),
        ) {
            let header = if good_header { sample_header(key(algorithm)).to_string().into_bytes() } else { header };
            let text = [header, payload, signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
            prop_assert!(judge(&text).is_err());
        }

        #[test]
        fn no_payload_that_we_sign_makes_the_verifier_panic(payload in any::<Vec<u8>>()) {
            let text = signed(key(ES256), sample_header(key(ES256)).to_string(), payload);
            prop_assert!(judge(&text).is_err());
        }

        #[test]
        fn several_changed_characters_are_refused(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), "[A-Za-z0-9_.-]"), 1..6),
        ) {
            let token = issue(&sample_claims(), key(ES256), TokenForm::Standard).unwrap();
            let mut changed = token.clone();
            for (place, character) in changes {
                let place = place.index(changed.len());
                changed.replace_range(place..=place, &character);
            }
            prop_assert_eq!(judge(&changed).is_ok(), changed == token);
        }
    }
}
