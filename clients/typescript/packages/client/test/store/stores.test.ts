import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import 'fake-indexeddb/auto';
import { IDBFactory } from 'fake-indexeddb';
import { describe, expect, it } from 'vitest';
import { openFileStore } from '../../src/store/file.js';
import { openIndexedDbStore } from '../../src/store/indexeddb.js';
import { openMemoryStore } from '../../src/store/memory.js';
import { NOW_MS, frame, operation, record, slotRow, storeContract } from './contract.js';

const now = (): number => NOW_MS;

/** As the file store has it before each line. */
function checksumOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

storeContract('memory', () => ({
  open: () => Promise.resolve(openMemoryStore(now)),
  reopens: false,
  remove: () => Promise.resolve(),
}));

storeContract('IndexedDB', () => {
  globalThis.indexedDB = new IDBFactory();
  return { open: () => openIndexedDbStore('syncline/test', now), reopens: true, remove: () => Promise.resolve() };
});

storeContract('file', () => {
  const folder = mkdtemp(join(tmpdir(), 'syncline-store-'));
  return {
    open: async () => openFileStore(await folder, now),
    reopens: true,
    remove: async () => {
      await rm(await folder, { recursive: true });
    },
  };
});

describe('the file store', () => {
  async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'syncline-store-'));
    try {
      await run(folder);
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  it('O1: a crash in the middle of any write loses that write and nothing before it', async () => {
    await inFolder(async (folder) => {
      const store = await openFileStore(folder, now);
      await store.createSlot(slotRow());
      await store.saveOperations('s', [operation(1)], []);
      await store.close();
      const log = join(folder, 'log.jsonl');
      const whole = await readFile(log);
      const again = await openFileStore(folder, now);
      await again.saveOperations('s', [operation(2)], []);
      await again.close();
      const longer = await readFile(log);
      for (let cut = whole.length; cut < longer.length; cut += 7) {
        await writeFile(log, longer);
        await truncate(log, cut);
        const after = await openFileStore(folder, now);
        expect((await after.loadSlot('s')).pending).toHaveLength(1);
        await after.saveOperations('s', [operation(2)], []);
        await after.close();
        const later = await openFileStore(folder, now);
        expect((await later.loadSlot('s')).pending).toHaveLength(2);
        await later.close();
      }
    });
  });

  it('damage in the middle is told, not passed over', async () => {
    await inFolder(async (folder) => {
      const store = await openFileStore(folder, now);
      await store.createSlot(slotRow());
      await store.close();
      const log = join(folder, 'log.jsonl');
      const content = (await readFile(log, 'utf8')).replace('"s"', '"z"');
      await writeFile(log, content);
      await appendFile(log, content);
      await expect(openFileStore(folder, now)).rejects.toMatchObject({ code: 'corrupt' });
    });
  });

  it('is used by one at a time; the lock of a process that ended is taken over', async () => {
    await inFolder(async (folder) => {
      const store = await openFileStore(folder, now);
      await expect(openFileStore(folder, now)).rejects.toMatchObject({ code: 'failed' });
      await store.close();
      await writeFile(join(folder, 'lock'), '999999999');
      await (await openFileStore(folder, now)).close();
      await writeFile(join(folder, 'lock'), String(process.ppid));
      await expect(openFileStore(folder, now)).rejects.toMatchObject({ code: 'failed' });
    });
  });

  it('refuses what was kept before the first release, and leaves it as it is', async () => {
    await inFolder(async (folder) => {
      await (await openFileStore(folder, now)).close();
      const log = join(folder, 'log.jsonl');
      const text = (await readFile(log, 'utf8')).trimEnd().replace(/^\S+ /, '').replace('"layout":3', '"layout":2');
      expect(text).toContain('"layout":2');
      await writeFile(log, `${checksumOf(text)} ${text}\n`);
      const before = await readFile(log, 'utf8');
      await expect(openFileStore(folder, now)).rejects.toMatchObject({ code: 'failed' });
      expect(await readFile(log, 'utf8')).toBe(before);
    });
  });

  it('the log does not grow for ever', { timeout: 30_000 }, async () => {
    await inFolder(async (folder) => {
      const store = await openFileStore(folder, now);
      const term = await store.nextTerm();
      const records = Array.from({ length: 200 }, (_, index) => record(`r${index}`, 1));
      for (let seq = 0; seq < 60; seq++) await store.saveFrames(term, [frame(seq, seq + 1, { records })]);
      await store.close();
      expect((await readFile(join(folder, 'log.jsonl'))).length).toBeLessThan(1.5 * 1024 * 1024);
      const again = await openFileStore(folder, now);
      expect((await again.load()).records).toHaveLength(200);
      expect((await again.load()).meta?.cursor.seqInclusive).toBe(60);
      await again.close();
    });
  });
});
