//! The end of a run: what clients were told is compared with what the service promises.

use std::time::Duration;

use tonic::transport::Channel;

use crate::BenchError;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::workspace::Workspace;
use syncline_core::history::{Expectations, FeedRecorder, History, Log, Recorder, check};
use syncline_core::ids::ReplicaId;
use syncline_protocol::convert::{place_from_pb, record_change};
use syncline_protocol::pb;
use syncline_protocol::pb::change_service_client::ChangeServiceClient;

/// Frames may be this large.
pub(super) const FRAME_BYTES_MAX: usize = 16 << 20;
/// How long the server may take for the next frame of the log.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);

/// What was seen of one workspace.
#[derive(Default)]
pub(super) struct Seen {
    pub recorders: Vec<Recorder>,
    pub feeds: Vec<FeedRecorder>,
}

/// Reads the workspace's whole log, judges what was seen of it, and adds the verdict to the outcome.
pub(super) async fn judge(
    channel: &Channel,
    workspace: &Workspace,
    seen: Seen,
    outcome: &mut Outcome,
    progress: &Progress,
) -> Result<(), BenchError> {
    let log = whole_log(channel, workspace, progress).await?;
    // The server's own replica wrote for callers without one: the records that were there before the load.
    let expectations = Expectations {
        others: [ReplicaId::SERVER].into(),
        unanswered: outcome.errors > 0,
        ..Expectations::default()
    };
    let mut history = History::new(log, expectations);
    seen.recorders.into_iter().for_each(|recorder| history.add(recorder));
    seen.feeds.into_iter().for_each(|feed| history.add_feed(feed));
    let report = check(&history);
    outcome.history_ok = Some(outcome.history_ok.unwrap_or(true) && report.is_content());
    if !report.is_content() {
        outcome.violations = Some(report.to_string());
    }
    Ok(())
}

async fn whole_log(channel: &Channel, workspace: &Workspace, progress: &Progress) -> Result<Log, BenchError> {
    let start = pb::FeedStart {
        workspace_id: workspace.id.clone(),
        origin: Some(pb::feed_start::Origin::Beginning(pb::FromBeginning {})),
        ..Default::default()
    };
    let mut stream = ChangeServiceClient::new(channel.clone())
        .max_decoding_message_size(FRAME_BYTES_MAX)
        .watch(pb::WatchRequest { start: Some(start) })
        .await?
        .into_inner();
    let mut log = Log::new(workspace.epoch);
    let unreadable = |error: syncline_protocol::convert::Unreadable| BenchError::Other(error.to_string());
    let (mut head_seq, mut bar) = (None, None);
    loop {
        let message = tokio::time::timeout(FRAME_TIMEOUT, stream.message())
            .await
            .map_err(|_| BenchError::Other("the log of the run does not arrive".to_owned()))??;
        let Some(frame) = message.and_then(|m| m.frame) else {
            return Err(BenchError::Other("the log of the run ended early".to_owned()));
        };
        match &frame.content {
            Some(pb::frame::Content::Opened(opened)) => {
                head_seq = Some(opened.head_seq);
                bar = Some(progress.steps("reading the history to check it", opened.head_seq));
            }
            Some(pb::frame::Content::Changes(changes)) => {
                for change in &changes.changes {
                    record_change(&mut log, change).map_err(unreadable)?;
                }
            }
            _ => {}
        }
        let place = place_from_pb(frame.cursor.as_ref()).map_err(unreadable)?;
        if let Some(bar) = &bar {
            bar.set_position(place.seq.0);
        }
        if head_seq.is_some_and(|head| place.seq >= head) {
            log.head(place.seq, place.chain);
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
            return Ok(log);
        }
    }
}
