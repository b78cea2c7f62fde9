//! What is asked over HTTP: method, URL, headers and body, checked once.
//!
//! Only `http://` for now: there is no TLS in this crate, and an `https://` URL is an error that says so.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Uri, Version};

/// Why a request cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The text has a form that is neither `METHOD URL` nor `URL`.
    #[error("`{text}` is not a request; write for example `GET http://127.0.0.1:8000/health`")]
    Form {
        /// The text as written.
        text: String,
    },
    /// No HTTP method.
    #[error("`{method}` is not an HTTP method; write for example GET or POST, in capitals")]
    Method {
        /// The text as written.
        method: String,
    },
    /// No URL.
    #[error("`{url}` is not a URL: {why}; write for example `http://127.0.0.1:8000/health`")]
    Url {
        /// The text as written.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// TLS.
    #[error("`{url}`: https is not supported yet; use the service's plain http port, as inside a cluster")]
    Https {
        /// The text as written.
        url: String,
    },
    /// `user:password@host`.
    #[error(
        "the URL to `{host}` holds a user name; put credentials into a header, for example `authorization: Basic …`"
    )]
    Credentials {
        /// The host part without the credentials.
        host: String,
    },
    /// Not a header.
    #[error("`{name}` cannot be a header with that value: {why}")]
    Header {
        /// The name as written. The value is left out: it may be a secret.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

/// One HTTP request, ready to be sent any number of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    method: Method,
    url: String,
    target: Uri,
    host: String,
    port: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl HttpRequest {
    /// A request without a body, with `Host`, `Accept: */*` and `User-Agent: murphy/VERSION`.
    pub fn new(method: &str, url: &str) -> Result<HttpRequest, RequestError> {
        let bad_method = || RequestError::Method { method: method.to_owned() };
        if method.is_empty()
            || !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
            || method == "CONNECT"
        {
            return Err(bad_method());
        }
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| bad_method())?;
        let bad = |why: &str| RequestError::Url { url: url.to_owned(), why: why.to_owned() };
        let uri: Uri = url.parse().map_err(|error: hyper::http::uri::InvalidUri| bad(&error.to_string()))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(RequestError::Https { url: url.to_owned() }),
            Some(_) => return Err(bad("it must begin with http://")),
            None => return Err(bad("it lacks http://")),
        }
        let authority = uri.authority().ok_or_else(|| bad("it lacks a host"))?;
        if let Some((_, host)) = authority.as_str().rsplit_once('@') {
            return Err(RequestError::Credentials { host: host.to_owned() });
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(bad("it lacks a host"));
        }
        // `http://host:/` and `http://host:99999/` have a port text without a port.
        let port = match authority.as_str()[authority.host().len()..].strip_prefix(':') {
            None => 80,
            Some(text) => text
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| bad("its port must be 1 to 65535"))?,
        };
        let mut headers = HeaderMap::new();
        let header = |text: &str| HeaderValue::from_str(text).map_err(|error| bad(&error.to_string()));
        headers.insert(HOST, header(authority.as_str())?);
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("murphy/", env!("CARGO_PKG_VERSION"))));
        // On the wire stands the path only (RFC 9112, 3.2.1).
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let target = path.parse().map_err(|error: hyper::http::uri::InvalidUri| bad(&error.to_string()))?;
        Ok(HttpRequest { method, url: url.to_owned(), target, host, port, headers, body: Bytes::new() })
    }

    /// With a header, in place of one of the same name.
    pub fn header(mut self, name: &str, value: &str) -> Result<HttpRequest, RequestError> {
        let bad = |why: String| RequestError::Header { name: name.to_owned(), why };
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|error| bad(error.to_string()))?;
        if parsed == hyper::header::CONTENT_LENGTH || parsed == hyper::header::TRANSFER_ENCODING {
            return Err(bad("it follows from the body".to_owned()));
        }
        let value = HeaderValue::from_str(value)
            .map_err(|_| bad("it holds a line end or another control character".to_owned()))?;
        self.headers.insert(parsed, value);
        Ok(self)
    }

    /// With a body.
    pub fn body(mut self, body: impl Into<Bytes>) -> HttpRequest {
        self.body = body.into();
        self
    }

    /// With a JSON body, and `Content-Type: application/json` unless another one was set.
    pub fn json(mut self, value: &serde_json::Value) -> HttpRequest {
        self.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        self.body(value.to_string())
    }

    /// With another text in the place of each `from`, in the path, the headers and the body. Of a text that makes no path or no
    /// header the place stays as it is.
    pub fn with_text(&self, from: &str, to: &str) -> HttpRequest {
        let mut other = self.clone();
        let path = self.target.to_string();
        if path.contains(from) {
            other.target = path.replace(from, to).parse().unwrap_or(other.target);
        }
        // On bytes: what is no ASCII may stand beside the place.
        for value in other.headers.values_mut() {
            let text = replaced(value.as_bytes(), from.as_bytes(), to.as_bytes());
            if let Some(next) = text.and_then(|text| HeaderValue::from_bytes(&text).ok()) {
                *value = next;
            }
        }
        if let Some(body) = replaced(&self.body, from.as_bytes(), to.as_bytes()) {
            other.body = body.into();
        }
        other
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The URL as written.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Name or address of the host, and the port.
    pub fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// The message for the wire.
    pub(crate) fn message(&self) -> hyper::Request<Full<Bytes>> {
        let mut message = hyper::Request::new(Full::new(self.body.clone()));
        *message.method_mut() = self.method.clone();
        *message.uri_mut() = self.target.clone();
        *message.version_mut() = Version::HTTP_11;
        *message.headers_mut() = self.headers.clone();
        message
    }
}

/// With other bytes in the place of each `from`; `None` if there is none.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len().max(1)).position(|here| here == from) {
        all.extend_from_slice(&rest[..at]);
        all.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    if rest.len() == bytes.len() {
        return None;
    }
    all.extend_from_slice(rest);
    Some(all)
}

/// `GET http://…`, or the URL alone for GET.
impl FromStr for HttpRequest {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<HttpRequest, RequestError> {
        match text.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            [url] => HttpRequest::new("GET", url),
            [method, url] => HttpRequest::new(method, url),
            _ => Err(RequestError::Form { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<HttpRequest>().unwrap_err().to_string()
    }

    #[test]
    fn a_request_is_read_with_its_host_port_and_path() {
        let request: HttpRequest = "POST http://shop.local:8000/a/b?c=d".parse().unwrap();
        assert_eq!(request.address(), ("shop.local", 8000));
        assert_eq!(request.to_string(), "POST http://shop.local:8000/a/b?c=d");
        let message = request.json(&serde_json::json!({ "a": 1 })).message();
        assert_eq!(message.uri().to_string(), "/a/b?c=d");
        assert_eq!(message.headers()[HOST], "shop.local:8000");
        assert_eq!(message.headers()[CONTENT_TYPE], "application/json");

        let request: HttpRequest = "http://[::1]".parse().unwrap();
        assert_eq!((request.method(), request.address()), ("GET", ("::1", 80)));
        assert_eq!(request.message().uri().to_string(), "/");
    }

    #[test]
    fn a_text_is_replaced_in_the_path_the_headers_and_the_body() {
        let request: HttpRequest = "PUT http://a:1/x/ID?y=ID".parse().unwrap();
        let request = request.header("x-key", "ID").unwrap().body("{\"id\":\"ID\",\"more\":\"ID\"}");
        let message = request.with_text("ID", "0007").message();
        assert_eq!(message.uri().to_string(), "/x/0007?y=0007");
        assert_eq!(message.headers()["x-key"], "0007");
        assert_eq!(request.with_text("ID", "7").body, "{\"id\":\"7\",\"more\":\"7\"}");
        assert_eq!(request.with_text("none", "7"), request);
    }

    #[test]
    fn a_text_is_replaced_beside_what_is_no_ascii() {
        let request: HttpRequest = "PUT http://a:1/".parse().unwrap();
        let request = request.header("x-note", "Käse ID").unwrap().body(&b"\xffID\xffID"[..]);
        let other = request.with_text("ID", "0007");
        assert_eq!(other.headers["x-note"].as_bytes(), "Käse 0007".as_bytes());
        assert_eq!(&other.body[..], b"\xff0007\xff0007");
    }

    #[test]
    fn headers_given_replace_the_ones_by_default() {
        let request: HttpRequest = "http://127.0.0.1".parse().unwrap();
        let message = request.header("Host", "shop").unwrap().message();
        assert_eq!(message.headers().get_all(HOST).iter().collect::<Vec<_>>(), ["shop"]);
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_what_to_write_instead() {
        assert!(error("https://a/").contains("https is not supported yet"));
        assert!(error("get http://a/").contains("in capitals"));
        assert!(error("127.0.0.1:80/x").contains("http://127.0.0.1:8000/health"));
        assert!(error("/x").contains("lacks http://"));
        assert!(error("ftp://a/").contains("http://"));
        assert!(error("GET http://a/ b").contains("is not a request"));
        assert!(error("").contains("is not a request"));
        for url in ["http://", "http://:80/", "http://a:/", "http://a:99999/", "http://a:0/", "http://ä/"] {
            assert!(HttpRequest::new("GET", url).is_err(), "{url}");
        }
    }

    #[test]
    fn secrets_are_neither_accepted_in_a_url_nor_printed() {
        let message = error("http://ann:secret@host/");
        assert!(message.contains("authorization") && !message.contains("secret"), "{message}");
        let request: HttpRequest = "http://a/".parse().unwrap();
        let message = request.clone().header("x-token", "se\ncret").unwrap_err().to_string();
        assert!(message.contains("x-token") && !message.contains("cret"), "{message}");
        assert!(request.header("content-length", "3").is_err());
    }
}
