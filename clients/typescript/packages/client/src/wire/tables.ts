import { Table } from './codec.js';

// The messages this client speaks, by the names of the generated code. Messages of the server may have more fields:
// those are not read. `test/wire/tables.test.ts` says when one is wrong.

export const cursor = new Table({
  workspaceId: [1, 'string'],
  epoch: [2, 'f64'],
  seqInclusive: [3, 'u64'],
  chain: [4, 'bytes'],
});

export const feedFilter = new Table({
  collectionIds: [1, 'string', 'list'],
});

export const feedStart = new Table({
  workspaceId: [1, 'string'],
  cursor: [2, cursor],
  filter: [3, feedFilter],
  clientName: [4, 'string'],
});

export const watchRequest = new Table({
  start: [1, feedStart],
});

export const feedOpened = new Table({
  headSeq: [1, 'u64'],
  schemaVersion: [2, 'u64'],
});

export const dot = new Table({
  replicaId: [1, 'string'],
  counter: [2, 'u64'],
});

export const causalContext = new Table({
  epoch: [1, 'f64'],
  baseSeq: [2, 'u64'],
  extras: [3, dot, 'list'],
});

export const timestamp = new Table({
  seconds: [1, 'i64'],
  nanos: [2, 'i32'],
});

export const recordCreated = new Table({});

export const recordDeleted = new Table({});

export const recordRestored = new Table({});

export const nullMessage = new Table({});

export const listValue = new Table({
  values: [1, (): Table => value, 'list'],
});

export const mapValue = new Table({
  entries: [1, (): Table => value, 'map'],
});

export const value = new Table({
  'kind.nullValue': [1, nullMessage],
  'kind.boolValue': [2, 'bool'],
  'kind.intValue': [3, 's64'],
  'kind.doubleValue': [4, 'double'],
  'kind.stringValue': [5, 'string'],
  'kind.bytesValue': [6, 'bytes'],
  'kind.listValue': [7, listValue],
  'kind.mapValue': [8, mapValue],
});

export const registerChanged = new Table({
  value: [1, value],
});

export const textSplice = new Table({
  'step.retainCount': [1, 'u32'],
  'step.insert': [2, 'string'],
  'step.delete': [3, 'string'],
});

export const textHunk = new Table({
  position: [1, 'u32'],
  deleteCount: [2, 'u32'],
  insert: [3, 'string'],
});

export const settledHunk = new Table({
  hunk: [1, textHunk],
  suppressedBySeq: [2, 'u64', 'optional'],
});

export const textChanged = new Table({
  splices: [1, textSplice, 'list'],
  hunks: [2, settledHunk, 'list'],
});

export const counterChanged = new Table({
  value: [1, 's64'],
});

export const setChanged = new Table({
  added: [1, value, 'list'],
  removed: [2, value, 'list'],
});

export const conflictSummary = new Table({
  conflictId: [1, 'string'],
  kind: [2, 'enum'],
  status: [3, 'enum'],
  revision: [4, 'u64'],
  collectionId: [5, 'string'],
  recordId: [6, 'string'],
  fieldId: [7, 'string'],
  targetRecordId: [8, 'string'],
  openedSeq: [9, 'u64'],
  closedSeq: [10, 'u64', 'optional'],
  assignee: [11, 'string'],
  remindTime: [12, timestamp],
  deferCount: [13, 'u32'],
  parentConflictId: [14, 'string'],
  alternativeCount: [15, 'u32'],
  closeReason: [16, 'string'],
});

export const conflictChanged = new Table({
  event: [1, 'enum'],
  conflict: [2, conflictSummary],
});

export const effect = new Table({
  collectionId: [1, 'string'],
  recordId: [2, 'string'],
  fieldId: [3, 'string'],
  'effect.recordCreated': [4, recordCreated],
  'effect.recordDeleted': [5, recordDeleted],
  'effect.recordRestored': [6, recordRestored],
  'effect.registerChanged': [7, registerChanged],
  'effect.textChanged': [8, textChanged],
  'effect.counterChanged': [9, counterChanged],
  'effect.setChanged': [10, setChanged],
  'effect.conflictChanged': [11, conflictChanged],
});

export const change = new Table({
  seq: [1, 'u64'],
  dot: [2, dot],
  context: [3, causalContext],
  correlationId: [4, 'string'],
  requestId: [5, 'string'],
  actor: [6, 'string'],
  clientTime: [7, timestamp],
  commitTime: [8, timestamp],
  effects: [9, effect, 'list'],
  operationHash: [10, 'bytes'],
  chain: [11, 'bytes'],
  outcome: [12, 'enum'],
});

export const changes = new Table({
  fromSeqExclusive: [1, 'u64'],
  toSeqInclusive: [2, 'u64'],
  changes: [3, change, 'list'],
  headSeq: [4, 'u64'],
  schemaVersion: [5, 'u64'],
});

export const checkpoint = new Table({
  headSeq: [1, 'u64'],
});

export const feedReset = new Table({
  reason: [1, 'enum'],
});

export const goAway = new Table({
  reason: [1, 'enum'],
});

export const frame = new Table({
  'content.opened': [1, feedOpened],
  'content.changes': [2, changes],
  'content.checkpoint': [3, checkpoint],
  'content.reset': [4, feedReset],
  'content.goAway': [5, goAway],
  cursor: [10, cursor],
});

export const watchResponse = new Table({
  frame: [1, frame],
});

export const snapshotRequest = new Table({
  workspaceId: [1, 'string'],
  filter: [2, feedFilter],
});

export const elementList = new Table({
  values: [1, value, 'list'],
});

export const recordIdList = new Table({
  recordIds: [1, 'string', 'list'],
});

export const candidate = new Table({
  value: [1, value],
  dot: [2, dot],
  seq: [3, 'u64'],
  commitTime: [4, timestamp],
});

export const fieldState = new Table({
  'state.registerValue': [1, value],
  'state.text': [2, 'string'],
  'state.counter': [3, 's64'],
  'state.elements': [4, elementList],
  'state.targetRecordId': [5, 'string'],
  'state.targetRecordIds': [6, recordIdList],
  lastSeq: [10, 'u64'],
  candidates: [11, candidate, 'list'],
});

export const record = new Table({
  collectionId: [1, 'string'],
  recordId: [2, 'string'],
  fields: [3, fieldState, 'map'],
  deleted: [4, 'bool'],
  createdSeq: [5, 'u64'],
  lastSeq: [6, 'u64'],
  liveConflictIds: [7, 'string', 'list'],
});

export const recordSnapshot = new Table({
  record: [1, record],
  asOfSeq: [2, 'u64'],
});

export const snapshotResponse = new Table({
  cursor: [1, cursor],
  records: [2, recordSnapshot, 'list'],
  conflicts: [3, conflictSummary, 'list'],
  complete: [4, 'bool'],
  sentCount: [5, 'u64'],
  estimatedCount: [6, 'u64'],
});

export const latest = new Table({});

export const createRecord = new Table({
  fields: [1, value, 'map'],
});

export const deleteRecord = new Table({});

export const restoreRecord = new Table({});

export const setField = new Table({
  fieldId: [1, 'string'],
  value: [2, value],
});

export const editText = new Table({
  fieldId: [1, 'string'],
  hunks: [2, textHunk, 'list'],
});

export const replaceText = new Table({
  fieldId: [1, 'string'],
  text: [2, 'string'],
});

export const incrementCounter = new Table({
  fieldId: [1, 'string'],
  by: [2, 's64'],
});

export const assignCounter = new Table({
  fieldId: [1, 'string'],
  value: [2, 's64'],
});

export const addElements = new Table({
  fieldId: [1, 'string'],
  elements: [2, value, 'list'],
});

export const removeElements = new Table({
  fieldId: [1, 'string'],
  elements: [2, value, 'list'],
});

export const clearElements = new Table({
  fieldId: [1, 'string'],
});

export const linkRecord = new Table({
  fieldId: [1, 'string'],
  targetRecordId: [2, 'string'],
});

export const unlinkRecord = new Table({
  fieldId: [1, 'string'],
  targetRecordId: [2, 'string'],
});

export const deferAction = new Table({
  conflictId: [1, 'string'],
  revision: [2, 'u64'],
  remindTime: [3, timestamp],
});

export const assignAction = new Table({
  conflictId: [1, 'string'],
  assignee: [2, 'string'],
});

export const reopenAction = new Table({
  conflictId: [1, 'string'],
});

export const mutation = new Table({
  collectionId: [1, 'string'],
  recordId: [2, 'string'],
  'action.create': [3, createRecord],
  'action.delete': [4, deleteRecord],
  'action.restore': [5, restoreRecord],
  'action.set': [6, setField],
  'action.editText': [7, editText],
  'action.replaceText': [8, replaceText],
  'action.increment': [9, incrementCounter],
  'action.assignCounter': [10, assignCounter],
  'action.addElements': [11, addElements],
  'action.removeElements': [12, removeElements],
  'action.clearElements': [13, clearElements],
  'action.link': [14, linkRecord],
  'action.unlink': [15, unlinkRecord],
  'action.deferConflict': [16, deferAction],
  'action.assignConflict': [17, assignAction],
  'action.reopenConflict': [18, reopenAction],
  observedSeq: [20, 'u64', 'optional'],
  resolvesConflictId: [21, 'string'],
});

export const operation = new Table({
  'identity.dot': [1, dot],
  'identity.requestId': [2, 'string'],
  'knowledge.context': [3, causalContext],
  'knowledge.latest': [4, latest],
  mutations: [5, mutation, 'list'],
  correlationId: [6, 'string'],
  dependsOn: [7, dot, 'list'],
  actor: [8, 'string'],
  clientTime: [9, timestamp],
  awaitRecords: [10, 'bool'],
});

export const submitRequest = new Table({
  workspaceId: [1, 'string'],
  operations: [2, operation, 'list'],
});

export const applied = new Table({
  seq: [1, 'u64'],
});

export const merged = new Table({
  seq: [1, 'u64'],
});

export const conflicted = new Table({
  seq: [1, 'u64'],
  conflictIds: [2, 'string', 'list'],
});

export const held = new Table({
  'missing.operation': [1, dot],
  'missing.recordId': [2, 'string'],
  expectedCounter: [3, 'u64'],
});

export const rejected = new Table({
  reason: [1, 'enum'],
  message: [2, 'string'],
  metadata: [3, 'string', 'map'],
  mutationIndex: [4, 'u32', 'optional'],
});

export const duplicate = new Table({
  stored: [1, (): Table => receipt],
});

export const notSettled = new Table({
  reason: [1, 'enum'],
  message: [2, 'string'],
  metadata: [3, 'string', 'map'],
  expectedCounter: [4, 'u64'],
});

export const conflictRemaining = new Table({
  conflictId: [1, 'string'],
  unseenSeqs: [2, 'u64', 'list'],
});

export const receipt = new Table({
  dot: [1, dot],
  requestId: [2, 'string'],
  correlationId: [3, 'string'],
  'outcome.applied': [4, applied],
  'outcome.merged': [5, merged],
  'outcome.conflicted': [6, conflicted],
  'outcome.held': [7, held],
  'outcome.rejected': [8, rejected],
  'outcome.duplicate': [9, duplicate],
  'outcome.notSettled': [10, notSettled],
  remaining: [11, conflictRemaining, 'list'],
});

export const submitResponse = new Table({
  receipts: [1, receipt, 'list'],
  headSeq: [2, 'u64'],
});

export const getReceiptsRequest = new Table({
  workspaceId: [1, 'string'],
  dots: [2, dot, 'list'],
  requestIds: [3, 'string', 'list'],
});

export const getReceiptsResponse = new Table({
  receipts: [1, receipt, 'list'],
});

export const abandonCounterRequest = new Table({
  workspaceId: [1, 'string'],
  dot: [2, dot],
});

export const abandonCounterResponse = new Table({
  receipt: [1, receipt],
});

export const connectionStart = new Table({
  workspaceId: [1, 'string'],
  replicaId: [2, 'string'],
  clientName: [3, 'string'],
  actor: [4, 'string'],
});

export const heartbeat = new Table({
  beatId: [1, 'u64'],
  echoBeatId: [2, 'u64'],
  echoDelayUs: [3, 'u64'],
  seq: [4, 'u64'],
});

export const beatRequest = new Table({
  connectionId: [1, 'string'],
  start: [2, connectionStart],
  beat: [3, heartbeat],
  measuredRoundTripUs: [4, 'u64'],
});

export const linkQuality = new Table({
  roundTripUs: [1, 'u64'],
  jitterUs: [2, 'u64'],
  receivedCount: [3, 'u64'],
  missedCount: [4, 'u64'],
});

export const serverState = new Table({
  headSeq: [1, 'u64'],
  epoch: [2, 'f64'],
  beatIntervalMs: [3, 'u64'],
  leaseMs: [4, 'u64'],
  serverTime: [5, timestamp],
  quality: [6, linkQuality],
});

export const beatResponse = new Table({
  connectionId: [1, 'string'],
  beat: [2, heartbeat],
  server: [3, serverState],
});

export const disconnectRequest = new Table({
  connectionId: [1, 'string'],
});

export const disconnectResponse = new Table({});

export const listConnectionsRequest = new Table({
  workspaceId: [1, 'string'],
  pageSize: [2, 'u32'],
  pageToken: [3, 'string'],
});

export const connection = new Table({
  connectionId: [1, 'string'],
  replicaId: [2, 'string'],
  clientName: [3, 'string'],
  actor: [4, 'string'],
  connectTime: [5, timestamp],
  lastBeatTime: [6, timestamp],
  leaseExpireTime: [7, timestamp],
  seq: [8, 'u64'],
  quality: [9, linkQuality],
  transport: [10, 'enum'],
});

export const listConnectionsResponse = new Table({
  connections: [1, connection, 'list'],
  nextPageToken: [2, 'string'],
});

export const getSchemaRequest = new Table({
  workspaceId: [1, 'string'],
});

export const fieldSchema = new Table({
  kind: [1, 'enum'],
  provisional: [2, 'enum'],
  onClash: [3, 'enum'],
  onDominate: [4, 'enum'],
});

export const collectionSchema = new Table({
  fields: [1, fieldSchema, 'map'],
});

export const schema = new Table({
  strict: [1, 'bool'],
  collections: [2, collectionSchema, 'map'],
});

export const getSchemaResponse = new Table({
  schema: [1, schema],
  schemaVersion: [2, 'u64'],
});

export const getHeadRequest = new Table({
  workspaceId: [1, 'string'],
});

export const getHeadResponse = new Table({
  cursor: [1, cursor],
});

export const getConflictRequest = new Table({
  workspaceId: [1, 'string'],
  conflictId: [2, 'string'],
});

export const alternative = new Table({
  seq: [1, 'u64'],
  dot: [2, dot],
  actor: [3, 'string'],
  clientTime: [4, timestamp],
  commitTime: [5, timestamp],
  context: [6, causalContext],
  value: [7, value],
  state: [8, 'enum'],
  hunk: [9, textHunk],
  replacedText: [10, 'string'],
  action: [11, 'string'],
  siblings: [12, 'string', 'list'],
  provisional: [13, 'bool'],
  correlationId: [14, 'string'],
});

export const linkedRecord = new Table({
  record: [1, record],
  fieldId: [2, 'string'],
  incoming: [3, 'bool'],
});

export const conflictEvent = new Table({
  conflictId: [1, 'string'],
  kind: [2, 'enum'],
  seq: [3, 'u64'],
  commitTime: [4, timestamp],
  actor: [5, 'string'],
  revision: [6, 'u64'],
  status: [7, 'enum'],
  detail: [8, 'string'],
});

export const clashingPair = new Table({
  earlierSeq: [1, 'u64'],
  laterSeq: [2, 'u64'],
});

export const getConflictResponse = new Table({
  conflict: [1, conflictSummary],
  rule: [2, 'string'],
  reason: [3, 'string'],
  baseValue: [4, value],
  baseExact: [5, 'bool'],
  alternatives: [6, alternative, 'list'],
  record: [7, record],
  recordAtOpening: [8, record],
  linkedRecords: [9, linkedRecord, 'list'],
  recentHistory: [10, change, 'list'],
  events: [11, conflictEvent, 'list'],
  context: [12, causalContext],
  pairs: [13, clashingPair, 'list'],
});
