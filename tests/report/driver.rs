//! A real Chromium, driven by `chromedriver` over the WebDriver protocol.

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A browser with a fresh profile; it ends with the test.
pub struct Browser {
    driver: Child,
    session: String,
    agent: ureq::Agent,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None`, and a word about it, where there is no `chromedriver`.
    pub fn start() -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("chromedriver");
        let driver = command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(driver) = driver else {
            eprintln!("skipped: there is no chromedriver on the path");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(120)));
        let agent = config.http_status_as_error(false).proxy(None).build().new_agent();
        let session = format!("http://127.0.0.1:{port}/session");
        let mut browser = Self { driver, session, agent, _profile: profile };
        let end = Instant::now() + Duration::from_secs(60);
        let status = format!("http://127.0.0.1:{port}/status");
        while browser.agent.get(&status).call().is_err() {
            assert!(Instant::now() < end, "chromedriver does not answer");
            std::thread::yield_now();
        }
        let mut arguments: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-sync",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.push(format!("--user-data-dir={}", browser._profile.path().display()));
        let wanted = json!({"goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}});
        let answer = browser.send("", &json!({"capabilities": {"alwaysMatch": wanted}}));
        browser.session = format!("{}/{}", browser.session, answer["sessionId"].as_str().unwrap());
        Some(browser)
    }

    fn send(&self, path: &str, body: &Value) -> Value {
        let mut answer = self.agent.post(format!("{}{path}", self.session)).send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert!(answer["value"].get("error").is_none_or(Value::is_null), "{path}: {answer}");
        answer["value"].clone()
    }

    /// Opens a page of this disk; `fragment` is what comes behind `#`.
    pub fn open(&self, path: &Path, fragment: &str) {
        // A change of the fragment alone would load nothing.
        self.send("/url", &json!({"url": "about:blank"}));
        let path = path.canonicalize().unwrap();
        self.send("/url", &json!({"url": format!("file://{}#{fragment}", path.display())}));
    }

    /// What a script gives.
    pub fn run(&self, script: &str) -> Value {
        self.send("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// The texts of all elements that a selector finds.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let found =
            self.run(&format!("return [...document.querySelectorAll('{selector}')].map((found) => found.innerText)"));
        serde_json::from_value(found).unwrap()
    }

    fn element(&self, selector: &str) -> String {
        let found = self.send("/element", &json!({"using": "css selector", "value": selector}));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    /// Clicks as a person does.
    pub fn click(&self, selector: &str) {
        self.send(&format!("/element/{}/click", self.element(selector)), &json!({}));
    }

    /// Types as a person does.
    pub fn write(&self, selector: &str, text: &str) {
        self.send(&format!("/element/{}/value", self.element(selector)), &json!({"text": text}));
    }

    /// Says what the user prefers: `light`, `dark`; and how wide the window is.
    pub fn prefer(&self, scheme: &str, width: usize) {
        let cdp = |command: &str, parameters: Value| {
            self.send("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
        };
        cdp("Emulation.setEmulatedMedia", json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}));
        let window = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        cdp("Emulation.setDeviceMetricsOverride", window);
    }

    /// The page as PDF, in base64.
    pub fn print(&self) -> String {
        self.send("/print", &json!({"background": true})).as_str().unwrap().to_owned()
    }

    /// Everything that the browser has complained of since the last call.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.send("/se/log", &json!({"type": "browser"}));
        entries.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
