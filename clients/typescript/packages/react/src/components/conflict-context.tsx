import type { ConflictDetail, RecordPicture, RecordView } from '@syncline/client';
import type { ReactElement } from 'react';
import { closeWords, fieldWords, NEWER_WORDS, timeWords, valueWords } from './words.js';

/** The record as it is now, what it is linked with, and what happened to the conflict so far. */
export function ConflictContext(props: {
  readonly detail: ConflictDetail;
  readonly titleOf: (record: RecordView) => string;
}): ReactElement {
  const { detail, titleOf } = props;
  const { record, linkedRecords, events, summary } = detail;
  const nameOf = (id: string) => {
    const found = linkedRecords.find((link) => link.record.recordId === id);
    return found ? titleOf(viewOf(found.record)) : id;
  };
  const links = new Set(linkedRecords.filter((link) => !link.incoming).map((link) => link.fieldId));
  return (
    <details className="syncline-context" open>
      <summary>The whole record</summary>
      <div className="syncline-context-body">
        <dl>
          {Object.entries(record.fields).map(([field, value]) => (
            <div key={field} data-disputed={summary.fieldIds.includes(field) ? 'true' : undefined}>
              <dt>{fieldWords(field)}</dt>
              <dd>
                {links.has(field)
                  ? (Array.isArray(value) ? value : [value]).map((id) => nameOf(String(id))).join(', ')
                  : record.opaque.includes(field)
                    ? NEWER_WORDS
                    : valueWords(value)}
              </dd>
            </div>
          ))}
        </dl>
        {linkedRecords.length === 0 ? null : (
          <div>
            <h4>Linked</h4>
            <ul>
              {linkedRecords.map((link) => (
                <li key={`${link.fieldId}/${link.record.recordId}/${String(link.incoming)}`}>
                  {link.incoming ? null : `${fieldWords(link.fieldId)}: `}
                  <strong>{titleOf(viewOf(link.record))}</strong>
                  {link.incoming ? ` has it in “${fieldWords(link.fieldId)}”` : null}
                  {link.record.deleted ? ' (deleted)' : null}
                </li>
              ))}
            </ul>
          </div>
        )}
        {events.length === 0 ? null : (
          <div>
            <h4>So far</h4>
            {detail.reason === '' ? null : <p className="syncline-case-reason">{detail.reason}</p>}
            <ol>
              {events.map((event) => (
                <li key={`${String(event.seq)}/${String(event.revision)}/${event.kind}`}>
                  {fieldWords(event.kind)}
                  {event.actor === '' ? '' : ` by ${event.actor}`}, {timeWords(event.commitTimeMs)}
                </li>
              ))}
            </ol>
            {summary.closeReason === undefined ? null : (
              <p className="syncline-case-reason">It {closeWords(summary.closeReason)}.</p>
            )}
          </div>
        )}
      </div>
    </details>
  );
}

/** A picture from the server, as far as a title needs it. */
function viewOf(picture: RecordPicture): RecordView {
  return {
    id: picture.recordId,
    collection: picture.collectionId,
    deleted: picture.deleted,
    fields: picture.fields,
    opaque: picture.opaque,
    seq: 0,
    sync: 'synced',
    fieldSync: {},
    conflictIds: [],
  };
}
