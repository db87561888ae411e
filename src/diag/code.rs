//! The table of codes: number, name and page, one row each. A code is never given to another error.

use super::Severity;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// The stable number of one kind of finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* #[doc = $name] $variant),* }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// `E0201`
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $number),* }
            }

            /// `unknown-field`
            pub const fn name(self) -> &'static str {
                match self { $(Code::$variant => $name),* }
            }

            /// The page that `reftc explain` prints, in Markdown.
            pub const fn page(self) -> &'static str {
                match self { $(Code::$variant => include_str!(concat!("explain/", $number, ".md"))),* }
            }
        }
    };
}

codes! {
    // Syntax
    UnexpectedText = "E0001", "unexpected-text";
    UnterminatedString = "E0002", "unterminated-string";
    UnclosedBlock = "E0003", "unclosed-block";
    MissingSeparator = "E0004", "missing-separator";
    ColonForEquals = "E0005", "colon-for-equals";
    ForeignWord = "E0006", "foreign-word";
    SmartQuotes = "E0007", "smart-quotes";
    PositionSeparator = "E0008", "position-separator";
    BadNumber = "E0009", "bad-number";
    BadEscape = "E0010", "bad-escape";
    NestedTooDeeply = "E0011", "nested-too-deeply";
    UnknownDeclaration = "E0012", "unknown-declaration";
    UnreadableSpec = "E0013", "unreadable-spec";
    LaterVersion = "E0090", "later-version";
    NewerEdition = "E0091", "newer-edition";
    // Names
    UnknownName = "E0101", "unknown-name";
    DuplicateName = "E0102", "duplicate-name";
    WrongKindOfName = "E0103", "wrong-kind-of-name";
    CyclicDefinition = "E0104", "cyclic-definition";
    AmbiguousWord = "E0105", "ambiguous-word";
    // Fields and types
    UnknownField = "E0201", "unknown-field";
    DuplicateField = "E0202", "duplicate-field";
    MissingField = "E0203", "missing-field";
    WrongType = "E0204", "wrong-type";
    OutOfRange = "E0205", "out-of-range";
    UnknownWord = "E0206", "unknown-word";
    BadArguments = "E0207", "bad-arguments";
    MisplacedBlock = "E0208", "misplaced-block";
    BadTemplate = "E0209", "bad-template";
    BadPattern = "E0210", "bad-pattern";
    ConflictingFields = "E0211", "conflicting-fields";
    BadChoices = "E0212", "bad-choices";
    NothingInherited = "E0213", "nothing-inherited";
    SelectedOnReported = "E0214", "selected-on-reported";
    ExpectationViolated = "E0215", "expectation-violated";
    NothingToKeep = "E0216", "nothing-to-keep";
    StartMismatch = "E0217", "start-mismatch";
    // The model and what it allows
    ModelNotFound = "E0301", "model-not-found";
    ModelUnreadable = "E0302", "model-unreadable";
    UnsupportedModel = "E0303", "unsupported-model";
    TokenizerMismatch = "E0304", "tokenizer-mismatch";
    LayerOutOfRange = "E0305", "layer-out-of-range";
    RankTooHigh = "E0306", "rank-too-high";
    NoNetwork = "E0307", "no-network";
    DownloadFailed = "E0308", "download-failed";
    TensorMismatch = "E0309", "tensor-mismatch";
    NoChatTemplate = "E0310", "no-chat-template";
    BaseDropout = "E0311", "base-dropout";
    // Data
    DataNotFound = "E0401", "data-not-found";
    DataUnreadable = "E0402", "data-unreadable";
    UnknownColumn = "E0403", "unknown-column";
    EmptySplit = "E0404", "empty-split";
    MissingValue = "E0405", "missing-value";
    EmptyTarget = "E0406", "empty-target";
    NoPositions = "E0407", "no-positions";
    UnknownSplit = "E0408", "unknown-split";
    NoRowsLeft = "E0409", "no-rows-left";
    GoldNotAChoice = "E0410", "gold-not-a-choice";
    // The run
    RunUnwritable = "E0501", "run-unwritable";
    RunLocked = "E0502", "run-locked";
    LossNotFinite = "E0503", "loss-not-finite";
    RunNotFound = "E0504", "run-not-found";
    DeviceUnavailable = "E0505", "device-unavailable";
    InterventionMismatch = "E0506", "intervention-mismatch";
    EngineFailed = "E0507", "engine-failed";
    SavedFileUnreadable = "E0508", "saved-file-unreadable";
    RunFormat = "E0509", "run-format";
    NotAsLocked = "E0510", "not-as-locked";
    LockUnreadable = "E0511", "lock-unreadable";
    RecordDamaged = "E0512", "record-damaged";
    InputsChanged = "E0513", "inputs-changed";
    BadCondition = "E0515", "bad-condition";
    UnknownPath = "E0516", "unknown-path";
    NothingToCompare = "E0517", "nothing-to-compare";
    NothingMeasured = "E0518", "nothing-measured";
    // Warnings
    UnusedName = "W0101", "unused-name";
    NothingToRun = "W0102", "nothing-to-run";
    TwinPoints = "W0103", "twin-points";
    SelectedOnTraining = "W0104", "selected-on-training";
    UnreachedEval = "W0105", "unreached-eval";
    OverlongPrompts = "W0401", "overlong-prompts";
    ClippedPositions = "W0402", "clipped-positions";
    DroppedRows = "W0403", "dropped-rows";
    RowsSampled = "W0404", "rows-sampled";
    SplitToken = "W0405", "split-token";
    OverlappingRows = "W0406", "overlapping-rows";
    UnscorableGold = "W0407", "unscorable-gold";
    DeadIntervention = "W0408", "dead-intervention";
    MissingPositions = "W0409", "missing-positions";
    TrailingSpace = "W0410", "trailing-space";
    CacheUnwritable = "W0501", "cache-unwritable";
    LockDrift = "W0502", "lock-drift";
    ChangedSinceRun = "W0503", "changed-since-run";
    // Advice
    ConstantPositions = "A0401", "constant-positions";
}

impl Code {
    /// Codes that begin with `W` are warnings, those that begin with `A` are advice.
    pub const fn severity(self) -> Severity {
        match self.as_str().as_bytes().first() {
            Some(b'W') => Severity::Warning,
            Some(b'A') => Severity::Advice,
            _ => Severity::Error,
        }
    }

    /// What is no error, warnings and advice, in the order of the table: it can be allowed, and denied.
    pub fn lints() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|code| code.severity() != Severity::Error)
    }

    /// The warning or advice of that name.
    pub fn lint(name: &str) -> Option<Self> {
        Self::lints().find(|code| code.name() == name)
    }

    /// The section *What it means* of its page, in Markdown.
    pub fn meaning(self) -> &'static str {
        let text = self.page().split("## What it means").nth(1).unwrap_or_default();
        text.split("\n## ").next().unwrap_or_default().trim()
    }

    /// Finds a code by its number or name, in any case.
    pub fn find(text: &str) -> Option<Self> {
        let matches = |code: &Self| code.as_str().eq_ignore_ascii_case(text) || code.name().eq_ignore_ascii_case(text);
        Self::ALL.iter().copied().find(matches)
    }
}
