import { useMemo } from 'react';
import type { UseNotices } from '../api.js';
import { useNoticeBoard } from '../provider.js';
import { useObservable } from './use-observable.js';

/** Notices that were not dismissed yet, oldest first. */
export const useNotices: UseNotices = () => {
  const board = useNoticeBoard();
  const notices = useObservable(board);
  return useMemo(() => ({ notices, dismiss: board.dismiss }), [notices, board]);
};
