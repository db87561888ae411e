//! Where the hub and its cache are, by the variables that the hub's own tools read.

use super::pins::Pins;
use std::path::PathBuf;
use std::time::Duration;

/// How to reach the hub.
#[derive(Clone)]
pub struct HubSettings {
    /// The cache folder, which holds `models--org--name` folders.
    pub cache: PathBuf,
    /// The address of the hub, without a final slash.
    pub endpoint: String,
    pub token: Option<String>,
    /// Never ask the network.
    pub offline: bool,
    /// The wait before a broken download goes on.
    pub retry_pause: Duration,
    /// Which commits branches stand for, whatever the hub says.
    pub pins: Pins,
}

impl HubSettings {
    /// The settings of this process, by the variables `HF_HUB_CACHE`, `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`,
    /// `HF_TOKEN_PATH` and `HF_HUB_OFFLINE`.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// The settings that these variables say; an empty variable counts as unset.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let folder = |name: &str| set(name).map(PathBuf::from);
        let user_cache = || {
            let home = folder("HOME").or_else(|| folder("USERPROFILE")).unwrap_or_default();
            folder("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache"))
        };
        let home = folder("HF_HOME").unwrap_or_else(|| user_cache().join("huggingface"));
        let token_file = folder("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        let token = set("HF_TOKEN").or_else(|| set("HUGGING_FACE_HUB_TOKEN"));
        let token = token.or_else(|| std::fs::read_to_string(token_file).ok());
        let yes = |value: String| ["1", "on", "yes", "true"].contains(&value.to_lowercase().as_str());
        Self {
            cache: folder("HF_HUB_CACHE")
                .or_else(|| folder("HUGGINGFACE_HUB_CACHE"))
                .unwrap_or_else(|| home.join("hub")),
            endpoint: set("HF_ENDPOINT")
                .map_or_else(|| "https://huggingface.co".to_owned(), |url| url.trim_end_matches('/').to_owned()),
            token: token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()),
            offline: set("HF_HUB_OFFLINE").is_some_and(yes),
            retry_pause: Duration::from_secs(1),
            pins: Pins::default(),
        }
    }

    /// Whether files can be put into the cache folder, for `reftc doctor`.
    pub fn is_cache_writable(&self) -> bool {
        let probe = self.cache.join(format!(".reftc-{}", std::process::id()));
        let written = std::fs::create_dir_all(&self.cache).and_then(|()| std::fs::write(&probe, "")).is_ok();
        let _ = std::fs::remove_file(probe);
        written
    }

    /// The names of the models in the cache, complete or not, sorted.
    pub fn models(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.cache).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut models: Vec<String> =
            names.filter_map(|name| Some(name.strip_prefix("models--")?.replacen("--", "/", 1))).collect();
        models.sort();
        models
    }
}

/// The token is a secret and stays out of every message.
impl std::fmt::Debug for HubSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubSettings")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> HubSettings {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        HubSettings::from_variables(find)
    }

    #[test]
    fn the_variables_are_those_of_the_hub() {
        let plain = settings(&[("HOME", "/home/x")]);
        assert_eq!(plain.cache, PathBuf::from("/home/x/.cache/huggingface/hub"));
        assert_eq!(
            (plain.endpoint.as_str(), plain.token.clone(), plain.offline),
            ("https://huggingface.co", None, false)
        );
        assert_eq!(settings(&[("HF_HOME", "/hf")]).cache, PathBuf::from("/hf/hub"));
        assert_eq!(settings(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c")]).cache, PathBuf::from("/c"));
        assert_eq!(settings(&[("XDG_CACHE_HOME", "/x")]).cache, PathBuf::from("/x/huggingface/hub"));
        let all = settings(&[("HF_ENDPOINT", "http://mirror/"), ("HF_TOKEN", " t\n"), ("HF_HUB_OFFLINE", "YES")]);
        assert_eq!((all.endpoint.as_str(), all.token.as_deref(), all.offline), ("http://mirror", Some("t"), true));
        assert!(!format!("{:?}", settings(&[("HF_TOKEN", "hf_secret")])).contains("secret"));
    }

    #[test]
    fn a_token_file_serves_where_no_variable_does() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "from-file\n").unwrap();
        let home = home.path().to_str().unwrap();
        assert_eq!(settings(&[("HF_HOME", home)]).token.as_deref(), Some("from-file"));
        assert_eq!(settings(&[("HF_HOME", home), ("HF_TOKEN", "t")]).token.as_deref(), Some("t"));
    }
}
