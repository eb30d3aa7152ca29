//! What the parts below say of life in the background, as texts for `kflowError`: warnings and errors of their log.
//!
//! The log is this library's own, since a program that links it has no part in its code. Only what is a fault of somebody is
//! a text; that things go well is not.

use std::fmt::{self, Write};
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::process::Process;

/// From now on, and once for all, warnings and errors go to the texts of the process they are said in.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Whoever set another before, in a test of this crate, keeps it.
        let _ = tracing::subscriber::set_global_default(Listener);
    });
}

#[derive(Debug)]
struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::WARN
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        if let Some(process) = Process::existing() {
            process.errors.push(&text.finish());
        }
    }

    // Spans are not used below.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// `message (name: value, name: value)`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(self) -> String {
        if self.fields.is_empty() { self.message } else { format!("{} ({})", self.message, self.fields) }
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            let comma = if self.fields.is_empty() { "" } else { ", " };
            let _ = write!(self.fields, "{comma}{}: {value:?}", field.name());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Hands the texts of one thread to a test.
    struct Collector(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Collector {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            Listener.enabled(metadata)
        }

        fn event(&self, event: &Event<'_>) {
            let mut text = Text::default();
            event.record(&mut text);
            self.0.lock().expect("no test panics with it").push(text.finish());
        }

        fn new_span(&self, attributes: &Attributes<'_>) -> Id {
            Listener.new_span(attributes)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn warnings_and_errors_become_texts_and_the_rest_does_not() {
        let texts = Arc::new(Mutex::new(Vec::new()));
        tracing::subscriber::with_default(Collector(Arc::clone(&texts)), || {
            tracing::info!("all is well");
            tracing::warn!(url = "http://a/", trouble = %"no", "not delivered");
            tracing::error!(records = 3, "lost");
        });
        let expected = ["not delivered (url: http://a/, trouble: no)", "lost (records: 3)"];
        assert_eq!(*texts.lock().unwrap(), expected);
    }
}
