import type { PessimisticPolicy } from '../api.js';
import type { Mutation } from '../domain/operation.js';

/** Whether a client's policy makes an operation wait for the server. */
export function isPessimistic(mutations: readonly Mutation[], policy: PessimisticPolicy | undefined): boolean {
  if (policy === undefined) return false;
  return mutations.some(({ action, collectionId }) => {
    if (action.type === 'delete') return policy.deletes === true;
    if ((action.type === 'link' || action.type === 'unlink') && policy.links === true) return true;
    return 'fieldId' in action && policy.fields?.includes(`${collectionId}.${action.fieldId}`) === true;
  });
}
