//! The sender as an output of the sensor.

use crate::sender::Sender;
use kflow::{FlowRecord, Sink, SinkError};
use std::time::Duration;

/// Hands records to a sender.
#[derive(Debug)]
pub struct SenderSink {
    /// `None` after the end.
    sender: Option<Sender<FlowRecord>>,
    stop_patience: Duration,
}

impl SenderSink {
    /// `stop_patience` is how long the end waits for what can still be delivered.
    pub fn new(sender: Sender<FlowRecord>, stop_patience: Duration) -> SenderSink {
        SenderSink { sender: Some(sender), stop_patience }
    }
}

impl Sink for SenderSink {
    /// Never waits for the network. What becomes of the records is in the sender's account.
    fn write(&mut self, records: &[FlowRecord]) -> Result<(), SinkError> {
        let Some(sender) = &self.sender else { return Err(SinkError::Closed) };
        sender.push(records.iter().cloned());
        Ok(())
    }

    /// Does nothing: records go by themselves, once an interval.
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "http"
    }

    fn close(&mut self) -> Result<(), SinkError> {
        if let Some(sender) = self.sender.take() {
            sender.stop(self.stop_patience);
        }
        Ok(())
    }
}
