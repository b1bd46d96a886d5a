//! Where clients find what this server publishes about itself: its metadata (RFC 8414, RFC 9728) and what that leads to.

use url::Url;

use super::Config;

/// The addresses of a server whose issuer is an address of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The issuer, exactly as tokens name it.
    pub issuer: String,
    /// The public address without its closing slash: each route is found below it.
    pub base: String,
    /// The path of the issuer, without a closing slash.
    pub issuer_path: String,
    /// The path of the public address, without a closing slash.
    pub base_path: String,
    origin: String,
}

impl Config {
    /// The addresses; `None` where tokens name an issuer that is not of this server's origin: nobody would look for metadata
    /// here, or could believe it (RFC 8414 §3.3).
    #[must_use]
    pub fn published(&self) -> Option<Published> {
        let (issuer, public) = (self.issuer(), &self.server.public_url);
        let url = Url::parse(&issuer).ok()?;
        let is_ours = url.origin() == public.origin() && url.query().is_none() && url.fragment().is_none();
        is_ours.then(|| Published {
            base: without_slash(public.as_str()),
            issuer_path: without_slash(url.path()),
            base_path: without_slash(public.path()),
            origin: public.origin().ascii_serialization(),
            issuer,
        })
    }
}

impl Published {
    /// Where the API is described as a protected resource: the well-known text goes before its path (RFC 9728 §3.1).
    #[must_use]
    pub fn resource_metadata(&self) -> String {
        format!("{}/.well-known/oauth-protected-resource{}", self.origin, self.base_path)
    }
}

fn without_slash(text: &str) -> String {
    text.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::support::load;

    fn published(public_url: &str, issuer: &str) -> Option<Published> {
        let given = [("VIGIE__SERVER__PUBLIC_URL", public_url), ("VIGIE__TOKENS__ISSUER", issuer)];
        load(&given).unwrap().published()
    }

    #[test]
    fn the_well_known_text_goes_between_origin_and_path() {
        let plain = published("https://vigie.example.org/", "").unwrap();
        assert_eq!((plain.issuer.as_str(), plain.issuer_path.as_str()), ("https://vigie.example.org", ""));
        assert_eq!(plain.resource_metadata(), "https://vigie.example.org/.well-known/oauth-protected-resource");
        let below = published("https://example.org/vigie/", "").unwrap();
        assert_eq!((below.base.as_str(), below.issuer_path.as_str()), ("https://example.org/vigie", "/vigie"));
        assert_eq!(below.resource_metadata(), "https://example.org/.well-known/oauth-protected-resource/vigie");
    }

    #[test]
    fn tok_13_an_issuer_that_is_elsewhere_has_no_metadata_here() {
        let ours = "https://vigie.example.org";
        for issuer in [ours, "https://vigie.example.org/", "https://vigie.example.org:443/tenant"] {
            assert_eq!(published(ours, issuer).map(|published| published.issuer).as_deref(), Some(issuer));
        }
        for issuer in [
            "vigie",
            "urn:vigie:1",
            "https://example.org",
            "http://vigie.example.org",
            "https://vigie.example.org:8443",
            "https://vigie.example.org/?tenant",
            "https://vigie.example.org/#tenant",
        ] {
            assert_eq!(published(ours, issuer), None, "{issuer}");
        }
    }
}
