//! ConflictService.

use syncline_core::causality::Seq;
use tonic::{Request, Response, Status};

use crate::engine::{ConflictContext, Decider, Decision, Engine, RegionView, Resolution};
use crate::grpc::served::conflict_service_server::ConflictService;
use syncline_core::conflict::{Conflict, ConflictKind, beginning};
use syncline_core::ids::ConflictId;
use syncline_core::operation::{MutationKind, Outcome, Receipt};
use syncline_core::schema::Provisional;
use syncline_protocol::convert::{
    alternatives_to_pb, assignee_from_pb, close_reason_to_pb, conflict_event_to_pb, conflict_filter_from_pb,
    conflict_id_from_pb, conflict_kind_to_pb, conflict_status_to_pb, conflict_to_pb, context_from_pb,
    context_to_pb, pairs_to_pb, receipt_to_pb, record_change_to_pb, record_to_pb, request_id_from_pb,
    shown_label_from_pb, timestamp_from_pb, value_from_pb, value_to_pb,
};
use syncline_protocol::pb;
use syncline_protocol::pb::resolve_conflict_request::Decision as Decided;
use syncline_protocol::status::{Failure, FieldViolation};

use super::{after_token, at_least_from_pb, bound_listing, failed, note_workspace, page_size, page_token};

/// ConflictService over an engine.
pub struct Conflicts {
    engine: Engine,
}

impl Conflicts {
    /// Serves this engine.
    pub fn new(engine: Engine) -> Conflicts {
        Conflicts { engine }
    }

    /// The answer to a decision: its receipt and the conflict afterwards. A refused decision fails the call.
    async fn answer(
        &self,
        workspace: &str,
        id: ConflictId,
        receipt: Receipt,
    ) -> Result<(pb::Receipt, pb::Conflict), Status> {
        match &receipt.outcome {
            Outcome::Rejected(rejection) => return Err(Failure::from(&rejection.refusal).into()),
            Outcome::NotSettled { refusal: Some(refusal), .. } => return Err(Failure::from(refusal).into()),
            Outcome::NotSettled { refusal: None, .. } | Outcome::Held { .. } | Outcome::Accepted { .. } => {}
        }
        let summary = self.engine.conflict_summary(workspace, id).await.map_err(failed)?;
        Ok((receipt_to_pb(&receipt), conflict_to_pb(&summary)))
    }
}

fn decider(request_id: &str, actor: &str) -> Result<Decider, Failure> {
    match request_id_from_pb(request_id, "request_id") {
        Ok(request_id) => Ok(Decider { request_id, actor: shown_label_from_pb(actor) }),
        Err(violation) => Err(Failure::invalid_request(vec![violation])),
    }
}

fn decision(decided: Option<Decided>) -> Result<Decision, Failure> {
    match decided {
        Some(Decided::AlternativeSeq(seq)) => Ok(Decision::Alternative(Seq(seq))),
        Some(Decided::Value(value)) => {
            value_from_pb(&value).map(Decision::Value).map_err(|refusal| Failure::from(&refusal))
        }
        Some(Decided::Text(text)) => Ok(Decision::Text(text)),
        Some(Decided::KeepCurrent(pb::KeepCurrent {})) => Ok(Decision::KeepCurrent),
        Some(Decided::UseBase(pb::UseBase {})) => Ok(Decision::Base),
        Some(Decided::DeleteRecord(pb::DeleteInstead {})) => Ok(Decision::Delete),
        Some(Decided::UnlinkRecord(pb::UnlinkInstead {})) => Ok(Decision::Unlink),
        Some(Decided::Values(pb::ValuesByField { values: _ })) => {
            Err(Failure::invalid_request(vec![FieldViolation::new(
                "values",
                "no schema declares fields that stay together; give one value",
            )]))
        }
        None => Err(Failure::invalid_request(vec![FieldViolation::new(
            "decision",
            "exactly one decision must be set",
        )])),
    }
}

#[tonic::async_trait]
impl ConflictService for Conflicts {
    async fn list_conflicts(
        &self,
        request: Request<pb::ListConflictsRequest>,
    ) -> Result<Response<pb::ListConflictsResponse>, Status> {
        let pb::ListConflictsRequest {
            workspace_id,
            statuses,
            kind,
            collection_id,
            record_id,
            assignee,
            page_size: size,
            page_token: token,
            at_least,
        } = request.into_inner();
        note_workspace(&workspace_id);
        let filter = conflict_filter_from_pb(
            &statuses,
            kind,
            collection_id.as_deref(),
            record_id.as_deref(),
            assignee.as_deref(),
        )?;
        let at_least = at_least_from_pb(at_least, &workspace_id)?;
        let listing = bound_listing("conflicts", &filter);
        let before: Option<ConflictId> = match after_token(&listing, &token)? {
            Some(at) => Some(at.parse().map_err(|()| Failure::invalid_page_token())?),
            None => None,
        };
        let limit = page_size(size, 50, 200);
        let read = self.engine.conflicts(&workspace_id, &filter, at_least.as_ref(), before, limit).await;
        let (found, next) = read.map_err(failed)?;
        Ok(Response::new(pb::ListConflictsResponse {
            conflicts: found.iter().map(conflict_to_pb).collect(),
            next_page_token: next.map(|id| page_token(&listing, id)).unwrap_or_default(),
        }))
    }

    async fn get_conflict(
        &self,
        request: Request<pb::GetConflictRequest>,
    ) -> Result<Response<pb::GetConflictResponse>, Status> {
        let pb::GetConflictRequest { workspace_id, conflict_id, at_least } = request.into_inner();
        note_workspace(&workspace_id);
        let id = conflict_id_from_pb(&conflict_id)?;
        let at_least = at_least_from_pb(at_least, &workspace_id)?;
        let found = self.engine.conflict(&workspace_id, id, at_least.as_ref()).await.map_err(failed)?;
        Ok(Response::new(context_to_response(found)))
    }

    async fn get_alternative(
        &self,
        request: Request<pb::GetAlternativeRequest>,
    ) -> Result<Response<pb::GetAlternativeResponse>, Status> {
        let pb::GetAlternativeRequest { workspace_id, conflict_id, alternative_seq } = request.into_inner();
        note_workspace(&workspace_id);
        let id = conflict_id_from_pb(&conflict_id)?;
        match self.engine.alternative(&workspace_id, id, Seq(alternative_seq)).await.map_err(failed)? {
            Some(value) => {
                Ok(Response::new(pb::GetAlternativeResponse { value: value.as_ref().map(value_to_pb) }))
            }
            None => Err(Failure::invalid_request(vec![FieldViolation::new(
                "alternative_seq",
                "the conflict has no alternative at this position",
            )])
            .into()),
        }
    }

    async fn resolve_conflict(
        &self,
        request: Request<pb::ResolveConflictRequest>,
    ) -> Result<Response<pb::ResolveConflictResponse>, Status> {
        let pb::ResolveConflictRequest {
            workspace_id,
            conflict_id,
            revision,
            request_id,
            actor,
            decision: decided,
            context,
        } = request.into_inner();
        note_workspace(&workspace_id);
        let id = conflict_id_from_pb(&conflict_id)?;
        let decider = decider(&request_id, &actor)?;
        let mut violations = Vec::new();
        let context = context.map(|context| context_from_pb(&context, "context", &mut violations));
        if !violations.is_empty() {
            return Err(Failure::invalid_request(violations).into());
        }
        let decision = decision(decided)?;
        let resolution = Resolution { conflict: id, revision, context, decision, decider };
        let receipt = self.engine.resolve_conflict(&workspace_id, resolution).await.map_err(failed)?;
        let (receipt, conflict) = self.answer(&workspace_id, id, receipt).await?;
        Ok(Response::new(pb::ResolveConflictResponse { receipt: Some(receipt), conflict: Some(conflict) }))
    }

    async fn defer_conflict(
        &self,
        request: Request<pb::DeferConflictRequest>,
    ) -> Result<Response<pb::DeferConflictResponse>, Status> {
        let pb::DeferConflictRequest { workspace_id, conflict_id, revision, remind_time, request_id, actor } =
            request.into_inner();
        note_workspace(&workspace_id);
        let id = conflict_id_from_pb(&conflict_id)?;
        let decider = decider(&request_id, &actor)?;
        let remind_at_ms = remind_time.as_ref().and_then(timestamp_from_pb).ok_or_else(|| {
            Failure::invalid_request(vec![FieldViolation::new("remind_time", "must be a valid time")])
        })?;
        let receipt = self
            .engine
            .defer_conflict(&workspace_id, id, revision, remind_at_ms, decider)
            .await
            .map_err(failed)?;
        let (receipt, conflict) = self.answer(&workspace_id, id, receipt).await?;
        Ok(Response::new(pb::DeferConflictResponse { receipt: Some(receipt), conflict: Some(conflict) }))
    }

    async fn assign_conflict(
        &self,
        request: Request<pb::AssignConflictRequest>,
    ) -> Result<Response<pb::AssignConflictResponse>, Status> {
        let pb::AssignConflictRequest { workspace_id, conflict_id, assignee, request_id, actor } =
            request.into_inner();
        note_workspace(&workspace_id);
        let id = conflict_id_from_pb(&conflict_id)?;
        let decider = decider(&request_id, &actor)?;
        let assignee = assignee
            .as_deref()
            .map(|name| assignee_from_pb(name, "assignee"))
            .transpose()
            .map_err(|v| Failure::invalid_request(vec![v]))?;
        let receipt =
            self.engine.assign_conflict(&workspace_id, id, assignee, decider).await.map_err(failed)?;
        let (receipt, conflict) = self.answer(&workspace_id, id, receipt).await?;
        Ok(Response::new(pb::AssignConflictResponse { receipt: Some(receipt), conflict: Some(conflict) }))
    }

    async fn reopen_conflict(
        &self,
        request: Request<pb::ReopenConflictRequest>,
    ) -> Result<Response<pb::ReopenConflictResponse>, Status> {
        let pb::ReopenConflictRequest { workspace_id, conflict_id, request_id, actor } = request.into_inner();
        note_workspace(&workspace_id);
        let id = conflict_id_from_pb(&conflict_id)?;
        let receipt = self
            .engine
            .reopen_conflict(&workspace_id, id, decider(&request_id, &actor)?)
            .await
            .map_err(failed)?;
        let (receipt, conflict) = self.answer(&workspace_id, id, receipt).await?;
        Ok(Response::new(pb::ReopenConflictResponse { receipt: Some(receipt), conflict: Some(conflict) }))
    }

    async fn list_conflict_events(
        &self,
        request: Request<pb::ListConflictEventsRequest>,
    ) -> Result<Response<pb::ListConflictEventsResponse>, Status> {
        let pb::ListConflictEventsRequest { workspace_id, conflict_id, page_size: size, page_token: token } =
            request.into_inner();
        note_workspace(&workspace_id);
        let of = conflict_id.as_deref().map(conflict_id_from_pb).transpose()?;
        let listing = bound_listing("events", &of);
        let before = after_token(&listing, &token)?.map(event_place).transpose()?;
        let limit = page_size(size, 100, 500);
        let (events, more) =
            self.engine.conflict_events(&workspace_id, of, before, limit).await.map_err(failed)?;
        let next = events
            .last()
            .filter(|_| more)
            .map(|(id, event)| page_token(&listing, format_args!("{}/{}/{id}", event.seq, event.revision)));
        Ok(Response::new(pb::ListConflictEventsResponse {
            events: events.iter().map(|(id, event)| conflict_event_to_pb(*id, event)).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn get_conflict_statistics(
        &self,
        request: Request<pb::GetConflictStatisticsRequest>,
    ) -> Result<Response<pb::GetConflictStatisticsResponse>, Status> {
        let pb::GetConflictStatisticsRequest { workspace_id } = request.into_inner();
        note_workspace(&workspace_id);
        let found = self.engine.conflict_statistics(&workspace_id).await.map_err(failed)?;
        Ok(Response::new(pb::GetConflictStatisticsResponse {
            total_count: found.total,
            by_status: found
                .by_status
                .into_iter()
                .map(|(status, count)| pb::StatusCount {
                    status: conflict_status_to_pb(status).into(),
                    count,
                })
                .collect(),
            by_kind: found
                .by_kind
                .into_iter()
                .map(|(kind, count)| pb::KindCount { kind: conflict_kind_to_pb(kind).into(), count })
                .collect(),
            by_close_reason: found
                .by_close_reason
                .into_iter()
                .map(|(reason, count)| pb::CloseReasonCount {
                    close_reason: close_reason_to_pb(reason).into(),
                    count,
                })
                .collect(),
            median_open_ms: found.median_open_ms,
            deferred_ever_count: found.deferred_ever,
        }))
    }
}

/// The place at which the log of events goes on: position, revision, conflict.
fn event_place(text: &str) -> Result<(Seq, u64, ConflictId), Failure> {
    let invalid = Failure::invalid_page_token;
    let mut parts = text.splitn(3, '/');
    let mut next = || parts.next().ok_or_else(invalid);
    let (seq, revision, id) = (next()?, next()?, next()?);
    Ok((
        seq.parse().map_err(|_| invalid())?,
        revision.parse().map_err(|_| invalid())?,
        id.parse().map_err(|()| invalid())?,
    ))
}

fn context_to_response(found: ConflictContext) -> pb::GetConflictResponse {
    let ConflictContext { conflict, provisional_seq, region, record, linked, recent, context } = found;
    let record_id = conflict.scope.record.clone();
    pb::GetConflictResponse {
        conflict: Some(conflict_to_pb(&conflict.summary())),
        rule: rule_in_words(&conflict),
        reason: reason_in_words(&conflict),
        base_value: conflict.base.clone().map(|base| value_to_pb(&beginning(base).0)),
        base_exact: conflict.base_exact,
        alternatives: alternatives_to_pb(&conflict, provisional_seq),
        record: record.as_ref().map(record_to_pb),
        record_at_opening: Some(record_at_opening(&conflict)),
        linked_records: linked
            .iter()
            .map(|link| pb::LinkedRecord {
                record: Some(record_to_pb(&link.record)),
                field_id: link.field.to_string(),
                incoming: link.incoming,
            })
            .collect(),
        recent_history: recent.iter().filter_map(|change| record_change_to_pb(change, &record_id)).collect(),
        events: conflict.events.iter().map(|event| conflict_event_to_pb(conflict.id, event)).collect(),
        context: Some(context_to_pb(&context)),
        pairs: pairs_to_pb(&conflict),
        region: region.map(region_to_pb),
    }
}

fn region_to_pb(region: RegionView) -> pb::TextRegion {
    let RegionView { range, shown, whole_shown_bytes, before, after } = region;
    let (position, length) = (range.start, range.end - range.start);
    pb::TextRegion { position, length, shown, whole_shown_bytes, before, after }
}

/// The record when the conflict opened: a copy for people to read, every field as a plain value.
fn record_at_opening(conflict: &Conflict) -> pb::Record {
    let field = |value| pb::FieldState {
        state: Some(pb::field_state::State::RegisterValue(value_to_pb(value))),
        last_seq: 0,
        candidates: Vec::new(),
    };
    pb::Record {
        collection_id: conflict.collection.to_string(),
        record_id: conflict.scope.record.to_string(),
        fields: conflict.record_at_opening.iter().map(|(id, value)| (id.to_string(), field(value))).collect(),
        deleted: false,
        created_seq: 0,
        last_seq: conflict.id.opened_seq.0,
        live_conflict_ids: Vec::new(),
        deleted_target_record_ids: Vec::new(),
    }
}

/// The rule that decided the clash, in words for people.
fn rule_in_words(conflict: &Conflict) -> String {
    let shown = match conflict.provisional {
        Provisional::Incumbent => "the value that was there first is shown until somebody decides",
        Provisional::Latest => "the value ordered last is shown until somebody decides",
        Provisional::Min => "the smallest value is shown until somebody decides",
        Provisional::Max => "the greatest value is shown until somebody decides",
    };
    match conflict.kind {
        ConflictKind::Register => format!("two concurrent writes of one field with different values; {shown}"),
        ConflictKind::TextOverlap => {
            "concurrent edits of the same words of a text; what was ordered first is in the text, every version is kept here"
                .to_owned()
        }
        ConflictKind::EditDelete => {
            "a record was deleted while somebody edited it; it stays, with the edit, until somebody decides".to_owned()
        }
        ConflictKind::Relationship => {
            "a record was deleted while somebody linked to it; both stay until somebody decides".to_owned()
        }
    }
}

/// Who was concurrent with whom, in words for people.
fn reason_in_words(conflict: &Conflict) -> String {
    let mut clauses: Vec<String> = Vec::new();
    for alternative in conflict.alternatives.iter().take(4) {
        let who = if alternative.actor.is_empty() { "an author without a name" } else { &*alternative.actor };
        clauses.push(format!(
            "{who} ({} at {}) knew everything up to {}",
            alternative.action.map_or("an operation", MutationKind::name),
            alternative.stamp.seq,
            alternative.author.base_seq
        ));
    }
    format!("neither had seen the other: {}", clauses.join("; "))
}
