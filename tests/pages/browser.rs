//! A browser without script: it keeps cookies, says where its forms come from, and follows redirects when it is told to.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Method, RequestBuilder};

use crate::support::app::{Answer, PASSWORD, TestApp, send};

/// A browser that one person uses.
pub struct Browser<'a> {
    pub app: &'a TestApp,
    pub cookies: BTreeMap<String, String>,
    client: reqwest::Client,
    /// What the forms of the page last shown hold.
    form_token: Option<String>,
    /// What the form of the one-time link holds that was last shown.
    pub link_token: Option<String>,
}

impl<'a> Browser<'a> {
    pub fn new(app: &'a TestApp) -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
        Self { app, cookies: BTreeMap::new(), client: client.unwrap(), form_token: None, link_token: None }
    }

    /// Logs in who exists, and opens one's own page.
    pub async fn logged_in(app: &'a TestApp, username: &str) -> Self {
        let mut browser = Self::new(app);
        let answer = browser.log_in(username, PASSWORD).await;
        assert!(["/account", "/console"].contains(&goes_to(&answer)), "{answer:?}");
        browser.open("/account").await.expect_page(200);
        browser
    }

    pub async fn log_in(&mut self, username: &str, password: &str) -> Answer {
        self.open("/login").await.expect_page(200);
        self.submit("/login", &[("username", username), ("password", password)]).await
    }

    /// The same person's browser at another node.
    pub fn at<'b>(&self, node: &'b TestApp) -> Browser<'b> {
        let Self { cookies, client, form_token, link_token, .. } = self;
        let (form_token, link_token) = (form_token.clone(), link_token.clone());
        Browser { app: node, cookies: cookies.clone(), client: client.clone(), form_token, link_token }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .client
            .request(method, self.app.url(path))
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if cookies.is_empty() { request } else { request.header(COOKIE, cookies.join("; ")) }
    }

    /// Types an address.
    pub async fn open(&mut self, path: &str) -> Answer {
        let request =
            self.request(Method::GET, path).header("sec-fetch-site", "none").header("sec-fetch-mode", "navigate");
        self.take(send(request).await)
    }

    /// Sends a form of the page that is shown.
    pub async fn submit(&mut self, path: &str, members: &[(&str, &str)]) -> Answer {
        let (form_token, link_token) = (self.form_token.clone(), self.link_token.clone());
        let tokens = [("form_token", form_token.as_deref()), ("link_token", link_token.as_deref())];
        let held = tokens.into_iter().filter_map(|(name, token)| Some((name, token?)));
        let all: Vec<(&str, &str)> = members.iter().copied().chain(held).collect();
        self.send_form(path, &all, "same-origin").await
    }

    /// Sends a form that a page of this origin made up.
    pub async fn send_form(&mut self, path: &str, members: &[(&str, &str)], from: &str) -> Answer {
        let request = self.request(Method::POST, path).header("sec-fetch-site", from).form(members);
        self.take(send(request).await)
    }

    pub fn session_cookie(&self) -> Option<&str> {
        self.cookies.get("vigie").map(String::as_str)
    }

    fn take(&mut self, answer: Answer) -> Answer {
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            assert!(text.contains("; HttpOnly; SameSite=Strict; Path=/"), "{text}");
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            if text.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        self.form_token = token_in(&answer.body, "form_token").or(self.form_token.take());
        self.link_token = token_in(&answer.body, "link_token").or(self.link_token.take());
        answer
    }
}

fn token_in(page: &str, name: &str) -> Option<String> {
    let (_, behind) = page.split_once(&format!("name=\"{name}\" value=\""))?;
    behind.split('"').next().map(str::to_owned)
}

/// Where an answer leads.
#[track_caller]
pub fn goes_to(answer: &Answer) -> &str {
    assert_eq!(answer.status, 303, "{}", answer.body);
    answer.header(LOCATION.as_str()).unwrap()
}

pub trait Page {
    /// Expects a page of this status; returns its text.
    fn expect_page(self, status: u16) -> String;
}

impl Page for Answer {
    #[track_caller]
    fn expect_page(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        // With `no-referrer` browsers without Fetch Metadata could send none of its forms.
        assert_eq!(self.header("referrer-policy"), Some("same-origin"));
        let policy = self.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        self.body
    }
}
