//! Seeded faults: rules that tests break on purpose, to prove that they would find a mistake there.
//!
//! A rule asks `fault!(Name)` where the fault would be. Such a question is `false` at compile time, and costs nothing,
//! unless this crate is tested or built with the feature `seeded-faults`, as the simulation does. A reader of a rule
//! takes every `fault!(…)` for `false`.

/// A rule that can be broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeededFault {
    /// Engine: dots listed beyond the base are not known.
    IgnoreExtras,
    /// Engine: an author does not know its own earlier operations.
    ForgetOwnChain,
    /// Engine: what an operation lists need not have settled.
    NoHold,
    /// Engine: naming an own request id is to know all requests before it, whoever made them.
    RequestsAsChain,
    /// Engine: an operation's base may lie before that of an own request it names.
    RequestBaseUnchecked,
    /// Engine: the chain at a context's base is not looked at.
    BaseChainUnchecked,
    /// Engine: of a call whose operations settle together or not at all, those before the refused one stay.
    HalfOfCallStays,
    /// Engine: a write replaces heads it did not know.
    LastWriterOnly,
    /// Engine: lineages have no rank.
    NewcomerTakesOver,
    /// Engine: a decision need not have seen all alternatives.
    CloseUnseen,
    /// Engine: a decision need not have seen the conflict open.
    OpeningUnseen,
    /// Engine: overwritten alternatives are not offered any more.
    ForgetShadows,
    /// Engine: a clash where a conflict is live opens another one.
    SecondLiveConflict,
    /// Engine: a removal drops additions it did not know.
    RemoveWins,
    /// Engine: an assignment drops increments it did not know.
    AssignForgetsIncrements,
    /// Engine: a delete takes effect over edits it did not know.
    DeleteIgnoresEdits,
    /// Engine: an edit does not see deletes its author did not know.
    EditIgnoresDelete,
    /// Engine: the second of two concurrent creations leaves no mark.
    SecondCreateForgotten,
    /// Engine: a delete takes effect over links it did not know.
    DeleteIgnoresLinks,
    /// Engine: a link does not see deletes of its target that its author did not know.
    LinkIgnoresDelete,
    /// Engine: that a value was read earlier than its author's base makes no difference.
    ObservedIgnored,
    /// Engine: of a field's heads the incumbent comes first, whatever its policy shows.
    ShownByPolicyNow,
    /// Engine: a region of a text stays at its position whatever happens before it.
    RegionStandsStill,
    /// Engine: a version takes the place of an earlier one of its author that the author did not see any more.
    VersionForgotten,
    /// Engine: a clash keeps the versions of the two who clashed, and of nobody else who wrote there.
    BystandersForgotten,
    /// Engine: regions that touch stay conflicts of their own.
    RegionsStayApart,
    /// Engine: how far an author knew a text holds for its later bases, too.
    ReachOutlivesBase,
    /// Engine: an operation that has settled settles again.
    SettleAgain,
    /// Engine: a rejected operation leaves the writes of its first mutations.
    HalfRejected,
    /// Engine: a rejection does not use up its counter.
    RejectionBlocks,
    /// Engine: a settled dot with another content is taken for a resubmission.
    ReusedDotIsDuplicate,
    /// Engine: a replica's base may go back.
    BaseMayDecrease,
    /// Engine: an operation's base may lie before that of what it lists.
    ExtraBaseUnchecked,
    /// Engine: a replica's number is not kept between two questions for it.
    ReplicaNumberedTwice,
    /// Engine: only one of those that wait is released.
    ReleaseOnlyFirst,
    /// Engine: operations may wait for each other.
    CycleUnnoticed,
    /// Engine: a reminder that fired is due again.
    ReminderStays,
    /// Engine: what a schema update does not mention gets its default again.
    UpdateResetsAbsent,
    /// Engine: a schema update may have been made for any version.
    SchemaVersionIgnored,

    /// Text: an insertion always goes just before the next known character.
    NaiveRightNeighbour,
    /// Text: an insertion always hangs off the character on its left.
    NaiveRightChild,
    /// Text: the next known character is looked for among the visible ones only.
    RightOriginSkipsTombstones,
    /// Text: of two insertions at one place, the later one goes to the left.
    YoungerSiblingLeft,
    /// Text: a suppressed hunk is hidden from its author at once.
    SuppressionAsFlag,
    /// Text: a suppressed hunk stays visible to its author for good.
    SuppressedVisibleForever,
    /// Text: a suppressed deletion takes effect all the same.
    SuppressedDeletionApplied,
    /// Text: the latest partner of a clash is recorded as the suppressor, not the earliest.
    SuppressedByLatestPartner,
    /// Text: two deletions of the same text clash.
    DeletionsClash,
    /// Text: replacing what somebody else deleted or replaced goes unnoticed (rule c1).
    OverlapUnnoticed,
    /// Text: deleting around somebody else's insertion goes unnoticed (rule c2).
    SwallowUnnoticed,
    /// Text: c2 looks only at insertions that nobody has deleted since.
    SwallowUsesTrunkVisibility,
    /// Text: inserting into what somebody else deleted goes unnoticed (rule c3).
    InsertIntoDeletedUnnoticed,
    /// Text: building on suppressed text goes unnoticed (rule c4).
    SuppressedGroundUnnoticed,
    /// Text: an author does not know its own earlier operations.
    OwnChainForgotten,
    /// Text: an author does not know the dots listed as extras.
    ExtrasIgnoredInText,
    /// Text: the replay starts at the operation's own base, not at the critical one.
    CriticalBaseNotIterated,
    /// Text: the effect leaves out what the operation deleted.
    EffectForgetsDeletions,

    /// Service: callers have their answers before the commit.
    AnswerBeforeCommit,
    /// Service: feeds show changes before their commit.
    PublishBeforeCommit,
    /// Service: callers are told nothing of a commit that failed.
    FailureAnsweredAsSuccess,
    /// Service: a commit of unknown result counts as stored.
    UnknownIsStored,
    /// Service: a commit of unknown result counts as lost, and what is in memory as what was stored before.
    UnknownIsLost,
    /// Service: what a refused commit had changed stays in memory.
    CacheSurvivesFailure,
    /// Service: what is in memory is not compared with the locked head.
    CacheUnchecked,
    /// Service: whoever writes reads the head without taking its lock.
    HeadNotLocked,
    /// Service: a server that did not settle an operation itself does not know that it settled.
    DuplicatesForgotten,
    /// Service: what waits for an operation is forgotten with the memory.
    WaitersForgotten,
    /// Service: an operation need not come after its replica's earlier ones.
    CounterGapAccepted,
    /// Service: other servers' commits are looked for only when they were announced.
    NotifyOnly,
    /// Service: recent changes with a gap count as whole.
    RecentGapServed,
    /// Service: a feed goes on one change after the one that follows its cursor.
    ResumeSkipsOne,
    /// Service: a feed goes on with the change of its cursor.
    ResumeRepeatsOne,
    /// Service: frames tell the cursor of the head, whatever was sent.
    CursorOfHead,
    /// Service: a stream that ends tells the cursor of the head, whatever was sent.
    GoAwayAtHead,
    /// Service: a cursor's epoch is not looked at.
    EpochUnchecked,
    /// Service: a cursor's chain is not looked at.
    ChainUnchecked,
    /// Service: a cursor ahead of what this server has heard of is refused.
    LaggingServerResets,
    /// Service: a feed of other collections than its cursor's goes on without what they differ in.
    DifferenceNotLoaded,
    /// Service: records of collections that are no longer asked for stay with the client.
    LeaveForgotten,
    /// Service: a loading that is resumed begins one record after the one that is next.
    LoadingResumesTooFar,
    /// Service: a snapshot's position is read after its rows.
    SnapshotPositionLate,
    /// Service: a snapshot tells the position this server has shown, not the one it was read at.
    SnapshotPositionShown,
    /// Service: a read stands for the position this server has shown, not the one it was read at.
    ReadPositionShown,
    /// Service: a read need not contain the position that its caller names.
    AtLeastUnchecked,
    /// Service: a server knows only the reminders that it wrote itself since its start.
    RemindersForgotten,
    /// Service: a lease never ends.
    LeaseNeverEnds,
}

/// Whether this rule is broken on purpose now: `fault!(NoHold)`. Read it as `false`.
#[macro_export]
macro_rules! fault {
    ($name:ident) => {
        $crate::seeded_faults::is_active($crate::seeded_faults::SeededFault::$name)
    };
}

#[cfg(any(test, feature = "seeded-faults"))]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<SeededFault>> = const { std::cell::Cell::new(None) };
}

/// Whether the fault is active on this thread. Asked by [`fault!`](crate::fault).
#[cfg(any(test, feature = "seeded-faults"))]
pub fn is_active(fault: SeededFault) -> bool {
    ACTIVE.with(|active| active.get() == Some(fault))
}

/// Activates a fault for the rest of this thread, or none.
#[cfg(any(test, feature = "seeded-faults"))]
pub fn set(fault: Option<SeededFault>) {
    ACTIVE.with(|active| active.set(fault));
}

/// Whether the fault is active: never, in a build without seeded faults.
#[cfg(not(any(test, feature = "seeded-faults")))]
pub const fn is_active(_: SeededFault) -> bool {
    false
}
