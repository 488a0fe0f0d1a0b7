/** An id of a new card: ascending by time, so that a column keeps its order. */
export function newCardId(): string {
  return `card-${Date.now().toString(36)}-${crypto.randomUUID().slice(0, 8)}`;
}
