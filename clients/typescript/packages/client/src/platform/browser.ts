import type { Channel, Locks, Platform } from '../platform.js';
import { systemClock } from './clock.js';
import { LocalLocks } from './local.js';

/** The page: its network and visibility, the locks and channels it shares with other tabs. */
export function browserPlatform(): Platform {
  return {
    clock: systemClock,
    random: { unit: Math.random, uuid },
    page: {
      online: () => navigator.onLine,
      visible: () => document.visibilityState === 'visible',
      subscribe: subscribeToPage,
    },
    // Without Web Locks (an insecure origin) every tab is alone.
    locks: 'locks' in navigator ? new WebLocks(navigator.locks) : new LocalLocks(),
    memory: sessionMemory(),
    channel: (name) => new BroadcastedChannel(name),
  };
}

/** `crypto.randomUUID` is there in secure contexts only; random bytes are there everywhere. */
function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function subscribeToPage(listener: () => void): () => void {
  const targets: readonly (readonly [EventTarget, string])[] = [
    [window, 'online'],
    [window, 'offline'],
    [window, 'pageshow'],
    [document, 'visibilitychange'],
    [document, 'resume'],
  ];
  const heard = () => {
    listener();
  };
  for (const [target, type] of targets) target.addEventListener(type, heard);
  return () => {
    for (const [target, type] of targets) target.removeEventListener(type, heard);
  };
}

function sessionMemory(): Platform['memory'] {
  return {
    get: (key) => {
      try {
        return sessionStorage.getItem(key) ?? undefined;
      } catch {
        return undefined;
      }
    },
    set: (key, value) => {
      try {
        sessionStorage.setItem(key, value);
      } catch {
        // A tab that may remember nothing takes another slot after a reload.
      }
    },
  };
}

class WebLocks implements Locks {
  constructor(private readonly manager: LockManager) {}

  async request(
    name: string,
    mode: 'wait' | 'try' | 'steal',
    holding: (lost: AbortSignal) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const lost = new AbortController();
    let got = false;
    const options: LockOptions = {
      ...(mode === 'try' && { ifAvailable: true }),
      ...(mode === 'steal' && { steal: true }),
      ...(mode === 'wait' && signal !== undefined && { signal }),
    };
    try {
      await this.manager.request(name, options, async (lock) => {
        if (lock === null) return;
        got = true;
        await holding(lost.signal);
      });
    } catch (error) {
      // A lock that was had and is gone was stolen.
      if (!got) throw error;
      lost.abort(error);
    }
    return got;
  }
}

class BroadcastedChannel<M> implements Channel<M> {
  private readonly channel: BroadcastChannel;

  constructor(name: string) {
    this.channel = new BroadcastChannel(name);
  }

  post(message: M): void {
    this.channel.postMessage(message);
  }

  subscribe(listener: (message: M) => void): () => void {
    const heard = (event: MessageEvent<M>) => {
      listener(event.data);
    };
    this.channel.addEventListener('message', heard);
    return () => {
      this.channel.removeEventListener('message', heard);
    };
  }

  close(): void {
    this.channel.close();
  }
}
