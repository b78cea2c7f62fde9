//! Which route a method and a path mean, by the rules of Toxiproxy's router: decoded paths, no forgiveness for a
//! trailing slash, a redirect for an unclean path, a bare 405 for a wrong method.

use hyper::Method;

/// A route with what its path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `GET /version`
    Version,
    /// `GET /proxies`
    ListProxies,
    /// `POST /proxies`
    CreateProxy,
    /// `POST /populate`
    Populate,
    /// `POST /reset`
    Reset,
    /// `GET /proxies/{proxy}`
    ShowProxy(String),
    /// `POST` or `PATCH /proxies/{proxy}`
    UpdateProxy(String),
    /// `DELETE /proxies/{proxy}`
    DeleteProxy(String),
    /// `GET /proxies/{proxy}/toxics`
    ListToxics(String),
    /// `POST /proxies/{proxy}/toxics`
    CreateToxic(String),
    /// `GET /proxies/{proxy}/toxics/{toxic}`
    ShowToxic(String, String),
    /// `POST` or `PATCH /proxies/{proxy}/toxics/{toxic}`
    UpdateToxic(String, String),
    /// `DELETE /proxies/{proxy}/toxics/{toxic}`
    DeleteToxic(String, String),
    /// `/metrics` with any method
    Metrics,
}

/// What the router makes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routed {
    /// A route.
    Found(Route),
    /// The same path, cleaned.
    Moved(String),
    /// A path with another method.
    WrongMethod,
    /// No such path.
    Unknown,
    /// A path whose escapes are broken.
    Malformed,
}

/// Whether `/metrics` is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsRoute {
    /// It is.
    Served,
    /// It is not.
    Absent,
}

/// Finds the route. `path` is as on the wire, without the query.
pub fn route(method: &Method, path: &str, metrics: MetricsRoute) -> Routed {
    let Some(decoded) = percent_decode(path) else { return Routed::Malformed };
    let clean = cleaned(&decoded);
    if clean != decoded {
        return Routed::Moved(percent_encode(&clean));
    }
    let parts: Vec<&str> = clean.split('/').skip(1).collect();
    let get = *method == Method::GET;
    let post = *method == Method::POST;
    let update = post || *method == Method::PATCH;
    let delete = *method == Method::DELETE;
    let one = |allowed: bool, route: Route| if allowed { Routed::Found(route) } else { Routed::WrongMethod };
    match parts[..] {
        ["version"] => one(get, Route::Version),
        ["populate"] => one(post, Route::Populate),
        ["reset"] => one(post, Route::Reset),
        ["metrics"] if metrics == MetricsRoute::Served => Routed::Found(Route::Metrics),
        ["proxies"] if get => Routed::Found(Route::ListProxies),
        ["proxies"] => one(post, Route::CreateProxy),
        ["proxies", proxy] if !proxy.is_empty() => {
            let proxy = proxy.to_owned();
            match () {
                () if get => Routed::Found(Route::ShowProxy(proxy)),
                () if update => Routed::Found(Route::UpdateProxy(proxy)),
                () => one(delete, Route::DeleteProxy(proxy)),
            }
        }
        ["proxies", proxy, "toxics"] if !proxy.is_empty() => {
            let proxy = proxy.to_owned();
            if get { Routed::Found(Route::ListToxics(proxy)) } else { one(post, Route::CreateToxic(proxy)) }
        }
        ["proxies", proxy, "toxics", toxic] if !proxy.is_empty() && !toxic.is_empty() => {
            let (proxy, toxic) = (proxy.to_owned(), toxic.to_owned());
            match () {
                () if get => Routed::Found(Route::ShowToxic(proxy, toxic)),
                () if update => Routed::Found(Route::UpdateToxic(proxy, toxic)),
                () => one(delete, Route::DeleteToxic(proxy, toxic)),
            }
        }
        _ => Routed::Unknown,
    }
}

/// The text behind `%41` escapes; `None` if one is broken. Bytes that are not UTF-8 are replaced.
pub fn percent_decode(path: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        decoded.push((high * 16 + low) as u8);
    }
    Some(String::from_utf8_lossy(&decoded).into_owned())
}

/// A path in a form that a header can carry.
fn percent_encode(path: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~$&+,:;=@!'()*".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The path without empty and dot segments; a slash at its end stays.
fn cleaned(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            part => kept.push(part),
        }
    }
    let mut clean = format!("/{}", kept.join("/"));
    if path.ends_with('/') && clean != "/" {
        clean.push('/');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &str, path: &str) -> Routed {
        route(&Method::from_bytes(method.as_bytes()).unwrap(), path, MetricsRoute::Absent)
    }

    #[test]
    fn every_route_is_found_by_its_methods_only() {
        let named = |name: &str| name.to_owned();
        for (methods, path, wanted) in [
            ("GET", "/version", Route::Version),
            ("GET", "/proxies", Route::ListProxies),
            ("POST", "/proxies", Route::CreateProxy),
            ("POST", "/populate", Route::Populate),
            ("POST", "/reset", Route::Reset),
            ("GET", "/proxies/a", Route::ShowProxy(named("a"))),
            ("POST PATCH", "/proxies/a", Route::UpdateProxy(named("a"))),
            ("DELETE", "/proxies/%3C%20b", Route::DeleteProxy(named("< b"))),
            ("GET", "/proxies/a/toxics", Route::ListToxics(named("a"))),
            ("POST", "/proxies/a/toxics", Route::CreateToxic(named("a"))),
            ("GET", "/proxies/a/toxics/t", Route::ShowToxic(named("a"), named("t"))),
            ("POST PATCH", "/proxies/a/toxics/t", Route::UpdateToxic(named("a"), named("t"))),
            ("DELETE", "/proxies/a/toxics/t", Route::DeleteToxic(named("a"), named("t"))),
        ] {
            for method in methods.split(' ') {
                assert_eq!(found(method, path), Routed::Found(wanted.clone()), "{method} {path}");
            }
            for method in ["HEAD", "OPTIONS", "PUT", "TRACE"] {
                assert_eq!(found(method, path), Routed::WrongMethod, "{method} {path}");
            }
        }
    }

    #[test]
    fn what_is_no_route_is_unknown_moved_or_malformed() {
        for path in ["/", "/proxies/", "/proxies/a/", "/proxies/a/toxics/", "/proxies/a/b", "/metrics", "/x"]
        {
            assert_eq!(found("GET", path), Routed::Unknown, "{path}");
        }
        assert_eq!(found("GET", "/proxies/a%2Fb"), Routed::Unknown);
        assert_eq!(found("GET", "//proxies"), Routed::Moved("/proxies".into()));
        assert_eq!(found("POST", "/x/../proxies/./%3C/"), Routed::Moved("/proxies/%3C/".into()));
        assert_eq!(found("GET", "/proxies/%zz"), Routed::Malformed);
        assert_eq!(found("GET", "/proxies/%4"), Routed::Malformed);
        assert_eq!(route(&Method::PUT, "/metrics", MetricsRoute::Served), Routed::Found(Route::Metrics));
    }
}
