import type { Notice, Observable } from '@syncline/client';

/** More notices than anybody reads: the oldest go, what they tell is kept with the rejected operations, in the inbox and in the connection. */
const NOTICES_MAX = 50;

/** Notices that were not dismissed yet, oldest first. */
export interface NoticeBoard extends Observable<readonly Notice[]> {
  add(notice: Notice): void;
  dismiss(notice: Notice): void;
}

export function createNoticeBoard(): NoticeBoard {
  let notices: readonly Notice[] = [];
  const listeners = new Set<() => void>();
  const publish = (next: readonly Notice[]) => {
    notices = next;
    for (const listener of [...listeners]) listener();
  };
  return {
    getSnapshot: () => notices,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    add: (notice) => {
      publish([...notices, notice].slice(-NOTICES_MAX));
    },
    dismiss: (notice) => {
      if (notices.includes(notice)) publish(notices.filter((other) => other !== notice));
    },
  };
}
