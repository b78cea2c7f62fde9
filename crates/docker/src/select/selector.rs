//! One condition on a container, as it is typed: `web-1`, `web-*`, `/re/`, `id:…`, `label:k=v`, `image:…`, `service:…`,
//! `project:…`. Says whether a container fulfils it; decides nothing else.

use std::fmt;
use std::str::FromStr;

use murphy_core::GlobError;

use super::pattern::Pattern;
use crate::container::Container;

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The container's name.
    Name(Pattern),
    /// The beginning of its id, at least 4 hexadecimal digits.
    Id(String),
    /// A label, with this value or with any.
    Label(String, Option<Pattern>),
    /// The image: as written, without its tag, or by its last part.
    Image(Pattern),
    /// The compose service.
    Service(Pattern),
    /// The compose project.
    Project(Pattern),
}

/// Why a text is not a condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Nothing is there.
    #[error("a selector is empty: write a name, `web-*`, `/regex/`, or one of {}", Selector::PREFIXES.join(", "))]
    Empty,
    /// The word before the colon is not known.
    #[error("`{prefix}:` is not a kind of selector{}; known are {}", meant(.guess.as_deref()), Selector::PREFIXES.join(", "))]
    Prefix {
        /// As written, without the colon.
        prefix: String,
        /// The nearest one that is known.
        guess: Option<String>,
    },
    /// Not the beginning of an id.
    #[error("`id:{id}` is not the beginning of a container's id: 4 to 64 of 0-9 and a-f")]
    BadId {
        /// As written.
        id: String,
    },
    /// Not a name that a container can have.
    #[error("`{name}` cannot be a container's name: letters, digits, `_`, `.` and `-`")]
    BadName {
        /// As written.
        name: String,
    },
    /// Not a regular expression.
    #[error("`/{text}/` is not a regular expression: {why}")]
    BadRegex {
        /// As written.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Not a glob.
    #[error("`{text}` is not a glob: {why}")]
    BadGlob {
        /// As written.
        text: String,
        /// What is wrong with it.
        why: GlobError,
    },
}

fn meant(guess: Option<&str>) -> String {
    guess.map(|guess| format!(" (did you mean `{guess}:`?)")).unwrap_or_default()
}

impl Selector {
    /// The prefixes that are known.
    pub const PREFIXES: [&'static str; 6] = ["name:", "id:", "label:", "image:", "service:", "project:"];

    /// True if the container fulfils it.
    pub fn matches(&self, container: &Container) -> bool {
        match self {
            Selector::Name(pattern) => pattern.matches(container.name()),
            Selector::Id(start) => container.identity.id.starts_with(start.as_str()),
            Selector::Label(key, value) => container
                .labels
                .get(key)
                .is_some_and(|found| value.as_ref().is_none_or(|wanted| wanted.matches(found))),
            Selector::Image(pattern) => {
                spellings(&container.image).into_iter().any(|text| pattern.matches(text))
            }
            Selector::Service(pattern) => container.service().is_some_and(|service| pattern.matches(service)),
            Selector::Project(pattern) => container.project().is_some_and(|project| pattern.matches(project)),
        }
    }

    /// Reads one condition whose kind is known, as in YAML.
    pub fn of_kind(kind: &str, text: &str) -> Result<Selector, SelectorError> {
        match kind {
            "name" => Ok(Selector::Name(name(text)?)),
            "id" => id(text),
            "label" => match text.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    // An empty value is one that a label can have.
                    let value =
                        if value.is_empty() { Pattern::Exact(String::new()) } else { Pattern::parse(value)? };
                    Ok(Selector::Label(key.to_owned(), Some(value)))
                }
                None if !text.is_empty() => Ok(Selector::Label(text.to_owned(), None)),
                _ => Err(SelectorError::Empty),
            },
            "image" => Pattern::parse(text).map(Selector::Image),
            "service" => Pattern::parse(text).map(Selector::Service),
            "project" => Pattern::parse(text).map(Selector::Project),
            _ => Err(SelectorError::Prefix {
                prefix: kind.to_owned(),
                guess: super::nearest(
                    kind,
                    Selector::PREFIXES.iter().map(|known| known.trim_end_matches(':')),
                )
                .map(str::to_owned),
            }),
        }
    }
}

fn name(text: &str) -> Result<Pattern, SelectorError> {
    let text = if text.starts_with('/') && !text[1..].contains('/') { &text[1..] } else { text };
    let pattern = Pattern::parse(text)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let of_globs = |c: char| "*?[]{}!^,".contains(c);
    match &pattern {
        Pattern::Exact(name) if !name.chars().all(allowed) => {
            Err(SelectorError::BadName { name: name.clone() })
        }
        Pattern::Glob(glob, _) if !glob.chars().all(|c| allowed(c) || of_globs(c)) => {
            Err(SelectorError::BadName { name: glob.clone() })
        }
        _ => Ok(pattern),
    }
}

fn id(text: &str) -> Result<Selector, SelectorError> {
    let id = text.to_ascii_lowercase();
    if (4..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(Selector::Id(id))
    } else {
        Err(SelectorError::BadId { id: text.to_owned() })
    }
}

/// The forms in which an image may be named: whole, without tag or digest, and both without registry and path.
fn spellings(image: &str) -> [&str; 4] {
    let without_digest = image.split_once('@').map_or(image, |(name, _)| name);
    let last = without_digest.rfind('/').map_or(0, |slash| slash + 1);
    let tag = without_digest[last..].find(':').map_or(without_digest.len(), |colon| last + colon);
    [image, &without_digest[..tag], &without_digest[last..], &without_digest[last..tag]]
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Selector, SelectorError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SelectorError::Empty);
        }
        match text.split_once(':') {
            Some((kind, rest)) if !text.starts_with('/') => Selector::of_kind(kind.trim(), rest.trim()),
            _ => Selector::of_kind("name", text),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Name(pattern) => pattern.fmt(f),
            Selector::Id(start) => write!(f, "id:{start}"),
            Selector::Label(key, None) => write!(f, "label:{key}"),
            Selector::Label(key, Some(value)) => write!(f, "label:{key}={value}"),
            Selector::Image(pattern) => write!(f, "image:{pattern}"),
            Selector::Service(pattern) => write!(f, "service:{pattern}"),
            Selector::Project(pattern) => write!(f, "project:{pattern}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Inventory;
    use proptest::prelude::*;

    fn matches(selector: &str, container: &Container) -> bool {
        selector.parse::<Selector>().unwrap().matches(container)
    }

    #[test]
    fn every_kind_finds_its_container_and_no_other() {
        let shop = Inventory::new().service("shop", "web", 2).service("shop", "db", 1).containers();
        let (db, web) = (&shop[0], &shop[1]);
        let id = format!("id:{}", &web.identity.id[..8]);
        for selector in
            ["shop-web-1", "name:shop-web-1", "/shop-web-1", "shop-web-*", "/web-[12]/", &id, "service:web"]
        {
            assert!(matches(selector, web), "{selector}");
            assert!(!matches(selector, db), "{selector}");
        }
        assert!(matches("project:shop", db) && !matches("project:other", db));
        assert!(
            matches("label:com.docker.compose.service=d?", db)
                && matches("label:com.docker.compose.project", db)
        );
    }

    #[test]
    fn an_image_is_known_by_each_of_its_spellings() {
        let container =
            Inventory::new().container("cache", "reg.example:5000/lib/redis:7").containers().remove(0);
        for image in
            ["reg.example:5000/lib/redis:7", "reg.example:5000/lib/redis", "redis:7", "redis", "redis*"]
        {
            assert!(matches(&format!("image:{image}"), &container), "{image}");
        }
        assert!(!matches("image:redis:6", &container) && !matches("image:lib", &container));
        assert_eq!(spellings("redis@sha256:00"), ["redis@sha256:00", "redis", "redis", "redis"]);
    }

    #[test]
    fn an_unknown_kind_is_answered_with_the_nearest() {
        let error = "sevice:web".parse::<Selector>().unwrap_err().to_string();
        assert!(error.contains("did you mean `service:`?"), "{error}");
        assert!("id:xyz".parse::<Selector>().unwrap_err().to_string().contains("0-9 and a-f"));
        assert!("/:*".parse::<Selector>().is_err(), "it would print as a prefix");
        assert!("we b".parse::<Selector>().unwrap_err().to_string().contains("we b"));
    }

    proptest! {
        #[test]
        fn any_text_is_answered_without_a_panic_and_prints_back(text in "\\PC{0,30}") {
            if let Ok(selector) = text.parse::<Selector>() {
                prop_assert_eq!(selector.to_string().parse::<Selector>().unwrap(), selector);
            }
        }
    }
}
