//! Which passes are on, as the command line says it: `all`, `none`, or some of them, as in `reach,hoist`.

use super::Passes;
use crate::diag::suggest;
use std::fmt;
use std::str::FromStr;

impl Passes {
    /// The names of the passes, in the order in which they are written.
    pub const NAMES: [&'static str; 5] = ["reach", "live", "hoist", "pack", "share"];

    /// Every pass.
    pub const ALL: Self = Self { reach: true, live: true, hoist: true, pack: true, share: true };
    /// No pass: all that is written is computed, row by row.
    pub const NONE: Self = Self { reach: false, live: false, hoist: false, pack: false, share: false };

    fn flags(self) -> [bool; 5] {
        [self.reach, self.live, self.hoist, self.pack, self.share]
    }
}

impl Default for Passes {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromStr for Passes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let [reach, live, hoist, pack, share] = match text {
            "all" => return Ok(Self::ALL),
            "none" => return Ok(Self::NONE),
            _ => named(text)?,
        };
        let needs = |pass: &str, needed: &str, why: &str| {
            Err(format!("`{pass}` needs `{needed}`, {why}: write `{text},{needed}`"))
        };
        if hoist && !reach {
            return needs("hoist", "reach", "which tells what is constant");
        }
        if share && !pack {
            return needs("share", "pack", "which puts rows together");
        }
        Ok(Self { reach, live, hoist, pack, share })
    }
}

/// Whether each pass is in a list with commas.
fn named(text: &str) -> Result<[bool; 5], String> {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    if let Some(wrong) = names.iter().find(|name| !Passes::NAMES.contains(name)) {
        let known = suggest::list(&Passes::NAMES);
        return Err(match *wrong {
            "" => format!("write `all`, `none`, or some of {known} with commas between them"),
            "all" | "none" => format!("`{wrong}` stands alone"),
            _ => match suggest::near(wrong, Passes::NAMES).first() {
                Some(near) => format!("`{wrong}` is no pass; did you mean `{near}`?"),
                None => format!("`{wrong}` is no pass; write `all`, `none`, or some of {known}"),
            },
        });
    }
    Ok(Passes::NAMES.map(|name| names.contains(&name)))
}

impl fmt::Display for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ALL => f.write_str("all"),
            Self::NONE => f.write_str("none"),
            _ => {
                let names = Self::NAMES.into_iter().zip(self.flags()).filter(|(_, on)| *on).map(|(name, _)| name);
                f.write_str(&names.collect::<Vec<_>>().join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_read_as_they_are_written() {
        for text in ["all", "none", "reach", "live", "pack", "reach,hoist", "reach,live,pack,share"] {
            assert_eq!(text.parse::<Passes>().unwrap().to_string(), text);
        }
        assert_eq!("hoist, reach".parse::<Passes>().unwrap().to_string(), "reach,hoist");
        assert_eq!("reach,live,hoist,pack,share".parse(), Ok(Passes::ALL));
    }

    #[test]
    fn what_cannot_be_meant_is_explained() {
        let error = |text: &str| text.parse::<Passes>().unwrap_err();
        assert_eq!(error("hoist"), "`hoist` needs `reach`, which tells what is constant: write `hoist,reach`");
        assert_eq!(error("live,share"), "`share` needs `pack`, which puts rows together: write `live,share,pack`");
        assert_eq!(error("reach,liv"), "`liv` is no pass; did you mean `live`?");
        assert!(error("everything").ends_with("some of `reach`, `live`, `hoist`, `pack` or `share`"));
        assert_eq!(error("reach,none"), "`none` stands alone");
        assert!(error("").starts_with("write `all`, `none`"));
    }
}
