//! Which endpoint a path belongs to.

use http::Method;

use crate::{ConfigError, Head};

/// What uses are counted as that belong to no endpoint.
pub(super) const OTHER: &str = "other";

/// The endpoints of a service, by the patterns of their paths.
///
/// ```
/// use http::Request;
/// use keygate::usage::Endpoints;
///
/// let endpoints = Endpoints::new(["GET /contacts/{id}", "/files/{*path}"])?;
/// let label = |method: &str, path: &str| {
///     let request = Request::builder().method(method).uri(path).body(()).unwrap();
///     endpoints.label(&request).to_owned()
/// };
/// assert_eq!(label("GET", "/contacts/17"), "GET /contacts/{id}");
/// assert_eq!(label("PUT", "/files/a/b"), "/files/{*path}");
/// assert_eq!(label("PUT", "/contacts/17"), "other");
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    paths: matchit::Router<usize>,
    endpoints: Vec<Vec<Endpoint>>,
}

#[derive(Clone, Debug)]
struct Endpoint {
    /// `None` for every method.
    method: Option<Method>,
    label: String,
}

impl Endpoints {
    /// Endpoints of these patterns: a path as in axum's routes, after a method where methods are
    /// told apart. The pattern is the name under which uses are counted; what fits none is `other`.
    ///
    /// # Errors
    ///
    /// When a pattern can't be one, or stands against another.
    pub fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Self, ConfigError> {
        let mut endpoints = Self::default();
        let mut by_path = std::collections::BTreeMap::<&str, Vec<Endpoint>>::new();
        for pattern in patterns {
            let (path, endpoint) = read(pattern)?;
            by_path.entry(path).or_default().push(endpoint);
        }
        for (path, mut of_path) in by_path {
            // A method by name comes before all methods.
            of_path.sort_by_key(|endpoint| endpoint.method.is_none());
            endpoints.insert(path, of_path)?;
        }
        Ok(endpoints)
    }

    fn insert(&mut self, path: &str, of_path: Vec<Endpoint>) -> Result<(), ConfigError> {
        self.endpoints.push(of_path);
        let inserted = self.paths.insert(path, self.endpoints.len() - 1);
        inserted.map_err(|_| ConfigError::invalid("endpoint", path, "no path, or one too many"))
    }

    /// The endpoint of a request.
    pub fn label<'r>(&self, request: impl Into<Head<'r>>) -> &str {
        let request = request.into();
        let found = self.paths.at(request.uri.path()).ok();
        let of_path = found.and_then(|found| self.endpoints.get(*found.value));
        let fits = |endpoint: &&Endpoint| {
            endpoint.method.as_ref().is_none_or(|method| method == request.method)
        };
        let endpoint = of_path.and_then(|of_path| of_path.iter().find(fits));
        endpoint.map_or(OTHER, |endpoint| &endpoint.label)
    }
}

fn read(pattern: &str) -> Result<(&str, Endpoint), ConfigError> {
    let (method, path) = match pattern.split_once(' ') {
        Some((method, path)) => (Some(method), path),
        None => (None, pattern),
    };
    let wrong = || ConfigError::invalid("endpoint", pattern, "not a method and a path");
    let method = method.map(Method::try_from).transpose().map_err(|_| wrong())?;
    if !path.starts_with('/') || path.contains(char::is_whitespace) {
        return Err(wrong());
    }
    Ok((path, Endpoint { method, label: pattern.to_owned() }))
}
