import type { Notice, Syncline } from '@syncline/client';
import { createContext, useContext, useEffect, useMemo } from 'react';
import type { ReactElement } from 'react';
import type { SynclineProviderProps, UseSyncline } from './api.js';
import { createNoticeBoard } from './notice-board.js';
import type { NoticeBoard } from './notice-board.js';

interface Provided {
  readonly client: Syncline;
  readonly notices: NoticeBoard;
}

const SynclineContext = createContext<Provided | undefined>(undefined);

/** Lets `children` see a client, and sets theme and scheme for the components. Does not close the client. */
export function SynclineProvider(props: SynclineProviderProps): ReactElement {
  const { client, theme = 'modern', scheme = 'system', children } = props;
  const provided = useMemo<Provided>(() => ({ client, notices: createNoticeBoard() }), [client]);
  useEffect(() => provided.client.onNotice((notice: Notice) => provided.notices.add(notice)), [provided]);
  return (
    <SynclineContext value={provided}>
      <div className="syncline-root" data-syncline-theme={theme} data-syncline-scheme={scheme}>
        {children}
      </div>
    </SynclineContext>
  );
}

function useProvided(): Provided {
  const provided = useContext(SynclineContext);
  if (provided === undefined) throw new Error('There is no <SynclineProvider> around this component.');
  return provided;
}

/** The client; throws outside of a provider. */
export const useSyncline: UseSyncline = () => useProvided().client;

/** The notices that came since the provider was mounted. */
export const useNoticeBoard = (): NoticeBoard => useProvided().notices;
