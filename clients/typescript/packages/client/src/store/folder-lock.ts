import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { StoreError } from './store-error.js';

const LOCK = 'lock';
/** Of a process that ended without letting go, the lock is taken over; more than one try is a race with others. */
const TRIES_MAX = 3;

/** Keeps other processes, and other clients of this one, out of a folder. */
export class FolderLock {
  private static readonly held = new Set<string>();

  private constructor(private readonly path: string) {}

  static async take(folder: string): Promise<FolderLock> {
    const path = join(resolve(folder), LOCK);
    if (FolderLock.held.has(path)) throw inUse(folder);
    FolderLock.held.add(path);
    try {
      await claim(path, folder);
      return new FolderLock(path);
    } catch (error) {
      FolderLock.held.delete(path);
      throw error;
    }
  }

  async release(): Promise<void> {
    FolderLock.held.delete(this.path);
    await rm(this.path, { force: true });
  }
}

async function claim(path: string, folder: string): Promise<void> {
  // Written first and linked then: nobody sees a lock that does not say whose it is.
  const mine = `${path}.${process.pid}`;
  await writeFile(mine, String(process.pid));
  try {
    for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
      try {
        await link(mine, path);
        return;
      } catch (error) {
        if ((error as { readonly code?: unknown }).code !== 'EEXIST') throw error;
        if (await isHeld(path)) break;
        await rm(path, { force: true });
      }
    }
  } finally {
    await rm(mine, { force: true });
  }
  throw inUse(folder);
}

function inUse(folder: string): StoreError {
  return new StoreError('failed', `another client uses ${folder}`);
}

async function isHeld(path: string): Promise<boolean> {
  const holder = Number(await readFile(path, 'utf8').catch(() => ''));
  // Left by an earlier process that had this one's number.
  if (!Number.isSafeInteger(holder) || holder <= 0 || holder === process.pid) return false;
  try {
    process.kill(holder, 0);
    return true;
  } catch (error) {
    return (error as { readonly code?: unknown }).code === 'EPERM';
  }
}
