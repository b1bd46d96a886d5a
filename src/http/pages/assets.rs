//! What pages load: one style sheet, one script, and the logo of the house. Their names hold a digest of what they are, so browsers may
//! keep them for good.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use actix_web::{HttpResponse, web};

use super::policy;
use crate::config::{Accent, Config};
use crate::http::error::ApiError;
use crate::key::sha256;
use crate::regular_file;

/// Largest logo, in bytes.
const MOST: u64 = 64 * 1024;
const FOR_GOOD: &str = "public, max-age=31536000, immutable";
/// A picture may be text that runs scripts where it is opened by itself.
const PICTURE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'";

/// What there is to load.
#[derive(Debug)]
pub struct Assets {
    /// The style sheet, with the colour of the house.
    pub style: Asset,
    /// What pages do in browsers that run scripts.
    pub script: Asset,
    /// What browsers show beside the title.
    pub icon: Asset,
    /// The picture at the head of each page.
    pub logo: Option<Asset>,
    /// What browsers let pages do.
    pub policy: HeaderValue,
}

/// A file that pages load.
#[derive(Debug)]
pub struct Asset {
    /// Its name in `/assets/`.
    pub name: String,
    content_type: &'static str,
    content: Vec<u8>,
}

impl Asset {
    fn new(stem: &str, ending: &str, content_type: &'static str, content: Vec<u8>) -> Self {
        let mut name = format!("{stem}-");
        for byte in &sha256(&[&content])[..6] {
            // Nothing is kept from being written to a text.
            let _ = write!(name, "{byte:02x}");
        }
        Self { name: format!("{name}.{ending}"), content_type, content }
    }
}

impl Assets {
    /// As configured; an error where the logo cannot be read.
    pub fn new(config: &Config) -> std::io::Result<Self> {
        let console = &config.console;
        let policy = HeaderValue::from_str(&policy(&config.gate.hosts)).map_err(std::io::Error::other)?;
        let mut style = include_str!("assets/style.css").to_owned();
        if let Some(accent) = console.accent {
            style.push_str(&accented(accent));
        }
        Ok(Self {
            style: Asset::new("style", "css", "text/css; charset=utf-8", style.into_bytes()),
            script: Asset::new(
                "script",
                "js",
                "text/javascript; charset=utf-8",
                include_bytes!("assets/script.js").to_vec(),
            ),
            icon: Asset::new("icon", "svg", "image/svg+xml", include_bytes!("assets/icon.svg").to_vec()),
            policy,
            logo: (!console.logo_file.as_os_str().is_empty()).then(|| logo(&console.logo_file)).transpose()?,
        })
    }

    fn named(&self, name: &str) -> Option<&Asset> {
        [Some(&self.style), Some(&self.script), Some(&self.icon), self.logo.as_ref()]
            .into_iter()
            .flatten()
            .find(|asset| asset.name == name)
    }
}

/// The colour of the house; on dark ground it is lightened, as the style sheet does with its own.
fn accented(accent: Accent) -> String {
    format!(
        ":root{{--accent:{accent};--on-accent:#fff}}\
         @media (prefers-color-scheme:dark){{:root{{--accent:color-mix(in srgb,{accent} 35%,#fff);--on-accent:#111}}}}\n"
    )
}

fn logo(path: &Path) -> std::io::Result<Asset> {
    let about = |error: std::io::Error| {
        std::io::Error::new(error.kind(), format!("console.logo_file: {}: {error}", path.display()))
    };
    let (file, _) = regular_file::open(path).map_err(about)?;
    let mut content = Vec::new();
    file.take(MOST + 1).read_to_end(&mut content).map_err(about)?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > MOST {
        return Err(about(std::io::Error::other("it is larger than 64 KiB")));
    }
    let is_png = path.extension().is_some_and(|ending| ending == "png");
    let (ending, content_type) = if is_png { ("png", "image/png") } else { ("svg", "image/svg+xml") };
    Ok(Asset::new("logo", ending, content_type, content))
}

/// Serves one of them.
pub(super) async fn serve(assets: web::Data<Assets>, name: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let asset = assets.named(&name).ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, asset.content_type))
        .insert_header((CACHE_CONTROL, FOR_GOOD))
        .insert_header((CONTENT_SECURITY_POLICY, PICTURE_POLICY))
        .body(asset.content.clone()))
}
