//! A Chromium with a fresh profile, and what a shopper does with it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction},
    elements::Element,
    wd::WebDriverCompatibleCommand,
};
use hyper::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

use crate::driver::Driver;

/// How long anything may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(100);

const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    // Clicks would miss what still scrolls.
    "--force-prefers-reduced-motion",
    "--window-size=1400,1000",
];

/// What the shopper sits at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) phone: bool,
    /// What the browser asks pages for.
    pub(crate) languages: &'static str,
    pub(crate) scripts: bool,
}

impl Window {
    pub(crate) const DESKTOP: Self =
        Self { width: 1_280, height: 900, phone: false, languages: "en-US,en", scripts: true };
    pub(crate) const CHINESE_PHONE: Self =
        Self { width: 390, height: 844, phone: true, languages: "zh-CN,zh", scripts: true };
    pub(crate) const WITHOUT_SCRIPTS: Self = Self { scripts: false, ..Self::DESKTOP };

    fn capabilities(self, profile: &str) -> Value {
        let profile = format!("--user-data-dir={profile}");
        let flags: Vec<&str> = FLAGS.into_iter().chain([profile.as_str()]).collect();
        let mut prefs = json!({"intl.accept_languages": self.languages});
        if !self.scripts {
            prefs["profile.managed_default_content_settings.javascript"] = json!(2);
        }
        let metrics = json!({
            "width": self.width, "height": self.height, "pixelRatio": 1.0, "mobile": self.phone, "touch": self.phone
        });
        json!({
            "browserName": "chrome",
            "goog:chromeOptions": {"args": flags, "prefs": prefs, "mobileEmulation": {"deviceMetrics": metrics}},
            "goog:loggingPrefs": {"browser": "ALL"},
        })
    }
}

/// A browser at a shop.
pub(crate) struct Browser {
    client: Client,
    base: Url,
    window: Window,
}

impl Browser {
    /// Opens a browser, does `work` with it and closes it, whatever came of it. A failure says what was on the page.
    pub(crate) async fn with(
        base: &str,
        window: Window,
        work: impl AsyncFnOnce(&Self) -> Result<()>,
    ) -> Result<()> {
        let driver = Driver::start()?;
        let profile = TempDir::new()?;
        let folder = profile.path().to_str().context("a temporary folder is UTF-8")?;
        let Value::Object(capabilities) = window.capabilities(folder) else {
            bail!("capabilities are an object")
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(driver.address())
            .await
            .context("chromedriver opens no browser")?;
        let browser = Self { client, base: Url::parse(base)?, window };
        let mut outcome = work(&browser).await;
        if outcome.is_err() {
            let page = browser.describe().await;
            outcome = outcome.context(page);
        }
        let closed = browser.client.clone().close().await;
        drop(driver);
        outcome?;
        closed.context("the browser does not close")
    }

    /// Its window.
    pub(crate) fn window(&self) -> Window {
        self.window
    }

    /// Goes to a page of the shop.
    pub(crate) async fn open(&self, path: &str) -> Result<()> {
        Ok(self.client.goto(self.base.join(path)?.as_str()).await?)
    }

    /// The path of the page it is on.
    pub(crate) async fn path(&self) -> Result<String> {
        Ok(self.client.current_url().await?.path().to_owned())
    }

    /// Waits for an element.
    pub(crate) async fn see(&self, css: &str) -> Result<Element> {
        let wait = self.client.wait().at_most(LIMIT).every(PAUSE);
        wait.for_element(Locator::Css(css)).await.with_context(|| format!("there is no {css}"))
    }

    /// How many of these are on the page now.
    pub(crate) async fn count(&self, css: &str) -> Result<usize> {
        Ok(self.client.find_all(Locator::Css(css)).await?.len())
    }

    /// What an element reads.
    pub(crate) async fn text(&self, css: &str) -> Result<String> {
        self.again(css, async |element| Ok(element.text().await?)).await
    }

    /// A property of an element, such as what is typed in.
    pub(crate) async fn value(&self, css: &str) -> Result<String> {
        self.again(css, async |element| Ok(element.prop("value").await?.unwrap_or_default())).await
    }

    /// Clicks an element as soon as it can be.
    pub(crate) async fn click(&self, css: &str) -> Result<()> {
        self.again(css, async |element| Ok(element.click().await?)).await
    }

    /// Clicks what leads to another page, and waits until this one is gone.
    pub(crate) async fn leave(&self, css: &str) -> Result<()> {
        let page = self.see("body").await?;
        self.click(css).await?;
        until("another page", async || Ok(page.text().await.is_err())).await
    }

    /// Clicks twice, as fast as hands that always do.
    pub(crate) async fn double_click(&self, css: &str) -> Result<()> {
        let element = self.see(css).await?;
        // A first look brings it into view: actions do not scroll.
        self.client.execute("arguments[0].scrollIntoView({block: 'center'})", vec![json!(element)]).await?;
        let (down, up) = (
            || PointerAction::Down { button: MOUSE_BUTTON_LEFT },
            || PointerAction::Up { button: MOUSE_BUTTON_LEFT },
        );
        let mouse = MouseActions::new("mouse".to_owned())
            .then(PointerAction::MoveToElement { element, duration: None, x: 0.0, y: 0.0 })
            .then(down())
            .then(up())
            .then(down())
            .then(up());
        Ok(self.client.perform_actions(mouse).await?)
    }

    /// Types into a field, in place of what is there.
    pub(crate) async fn fill(&self, css: &str, text: &str) -> Result<()> {
        self.again(css, async |element| {
            element.clear().await?;
            Ok(element.send_keys(text).await?)
        })
        .await
    }

    /// Runs a script that returns a value.
    pub(crate) async fn run(&self, script: &str) -> Result<Value> {
        Ok(self.client.execute(script, Vec::new()).await?)
    }

    /// What pages complained about since last asked, such as what their content security policy refused.
    pub(crate) async fn complaints(&self) -> Result<Vec<String>> {
        let log = self.client.issue_cmd(ConsoleLog).await?;
        let entries = log.as_array().context("the log is a list")?;
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        Ok(severe.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// Keeps a picture where `MERIDIAN_SCREENSHOTS` says, if it does.
    pub(crate) async fn picture(&self, name: &str) -> Result<()> {
        let Some(folder) = std::env::var_os("MERIDIAN_SCREENSHOTS").map(PathBuf::from) else { return Ok(()) };
        std::fs::create_dir_all(&folder)?;
        let picture = self.client.screenshot().await?;
        Ok(std::fs::write(folder.join(format!("{name}-{}.png", self.window.width)), picture)?)
    }

    /// Does something with an element, again while the page is changing under it.
    async fn again<T>(&self, css: &str, work: impl AsyncFn(Element) -> Result<T>) -> Result<T> {
        let start = Instant::now();
        loop {
            match work(self.see(css).await?).await {
                Ok(done) => return Ok(done),
                Err(failure) if start.elapsed() > LIMIT => return Err(failure.context(css.to_owned())),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn describe(&self) -> String {
        let _ = self.picture("failed").await;
        let url = self.client.current_url().await.map(String::from).unwrap_or_default();
        let text = match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(failure) => failure.to_string(),
        };
        format!("on {url}, {:?}:\n{text}\n", self.window)
    }
}

/// Waits until `holds`.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !holds().await? {
        ensure!(start.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Chromedriver's own command for what is in the console.
#[derive(Debug)]
struct ConsoleLog;

impl WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}
