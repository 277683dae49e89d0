//! A client of API v1, as another program would write it.

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

/// A client with its tokens.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    refresh: Option<String>,
    cart: Option<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body as text.
    pub text: String,
}

impl Answer {
    /// The body, when the status is this one.
    pub fn expect(&self, status: u16) -> Result<Value> {
        if self.status != status {
            bail!("expected {status}, got {}: {}", self.status, self.text);
        }
        self.json()
    }

    /// The body as JSON; null when empty.
    pub fn json(&self) -> Result<Value> {
        if self.text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&self.text).with_context(|| format!("no JSON: {}", self.text))
    }

    /// The problem's code.
    pub fn code(&self) -> String {
        self.json().ok().and_then(|body| body["code"].as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Pointers of the problem's fields.
    pub fn pointers(&self) -> Vec<String> {
        let body = self.json().unwrap_or_default();
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().filter_map(|error| error["pointer"].as_str().map(str::to_owned)).collect()
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Client {
    /// A client of the entrance at `base`, `http://host:port`, that nobody knows yet.
    pub fn new(base: &str) -> Self {
        // Another provider may be installed already by the same test binary.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(60))
            .build()
            .unwrap_or_default();
        Self { http, base: base.to_owned(), token: None, refresh: None, cart: None }
    }

    /// Logs in and keeps the tokens.
    pub async fn log_in(&mut self, email: &str, password: &str) -> Result<Value> {
        let body = self
            .post("/api/v1/sessions", &json!({"email": email, "password": password}))
            .await?
            .expect(201)?;
        self.token = body["access_token"].as_str().map(str::to_owned);
        self.refresh = body["refresh_token"].as_str().map(str::to_owned);
        Ok(body)
    }

    /// The access token.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The refresh token.
    pub fn refresh_token(&self) -> Option<&str> {
        self.refresh.as_deref()
    }

    /// The same client at another entrance.
    #[must_use]
    pub fn at(mut self, base: &str) -> Self {
        base.clone_into(&mut self.base);
        self
    }

    /// The same client with another access token.
    #[must_use]
    pub fn with_token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(str::to_owned);
        self
    }

    /// The same client with this guest's cart.
    #[must_use]
    pub fn with_cart(mut self, token: &str) -> Self {
        self.cart = Some(token.to_owned());
        self
    }

    /// Sends a request.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(cart) = &self.cart {
            request = request.header("X-Cart-Token", cart);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        Ok(Answer { status, headers, text: response.text().await? })
    }

    async fn json(&self, method: Method, path: &str, key: Option<&str>, body: &Value) -> Result<Answer> {
        let mut headers = vec![("Content-Type", "application/json")];
        if let Some(key) = key {
            headers.push(("Idempotency-Key", key));
        }
        self.send(method, path, &headers, Some(serde_json::to_vec(body)?)).await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[], None).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(Method::DELETE, path, &[], None).await
    }

    /// POST of JSON, without an idempotency key.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.json(Method::POST, path, None, body).await
    }

    /// POST of JSON with an idempotency key.
    pub async fn post_once(&self, path: &str, key: &str, body: &Value) -> Result<Answer> {
        self.json(Method::POST, path, Some(key), body).await
    }

    /// PUT of JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.json(Method::PUT, path, None, body).await
    }

    /// PATCH of JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Answer> {
        self.json(Method::PATCH, path, None, body).await
    }

    /// Adds an address to the shopper's book; its id.
    pub async fn address(&self, country: &str) -> Result<String> {
        let address = json!({
            "recipient": "Ada Lovelace", "phone": "+14155550100", "country": country, "region": "", "city": "Springfield",
            "district": "", "line1": "1 Main Street", "line2": "", "postal_code": "12345", "is_default": true,
        });
        let body = self.post("/api/v1/addresses", &address).await?.expect(201)?;
        body["id"].as_str().map(str::to_owned).context("an address has an id")
    }

    /// A fresh idempotency key.
    pub fn key() -> String {
        format!("key-{:032x}", rand::random::<u128>())
    }

    /// Places an order of one SKU.
    pub async fn place(&self, address: &str, sku: &str, quantity: i64) -> Result<Answer> {
        let body = json!({"address_id": address, "items": [{"sku_id": sku, "quantity": quantity}]});
        self.post_once("/api/v1/orders", &Self::key(), &body).await
    }
}
