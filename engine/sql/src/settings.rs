//! What a session may set: `SET flow.normalise = false`.

use datafusion::common::config::ConfigExtension;
use datafusion::common::extensions_options;
use datafusion::config::ConfigOptions;

extensions_options! {
    /// Settings of flow SQL.
    pub struct FlowSettings {
        /// Plain `sum`, `avg` and `count(*)` over a flow table's counters and rows are normalised for sampling.
        pub normalise: bool, default = true
    }
}

impl ConfigExtension for FlowSettings {
    const PREFIX: &'static str = "flow";
}

impl FlowSettings {
    /// The settings of a session; defaults if it has none.
    pub fn of(config: &ConfigOptions) -> FlowSettings {
        config.extensions.get::<FlowSettings>().cloned().unwrap_or_default()
    }
}
