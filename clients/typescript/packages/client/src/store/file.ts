import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rename, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { FolderLock } from './folder-lock.js';
import { MemoryTables, type Write } from './memory-tables.js';
import { rowOf, rowText } from './row-text.js';
import type { Store } from './store.js';
import { StoreError } from './store-error.js';
import { LAYOUT, TableStore } from './table-store.js';
import type { TableName, TableTransaction, WriteMode } from './tables.js';

const LOG = 'log.jsonl';
/** The log is written anew when it is this many times as long as its contents, but not before it has this size. */
const REWRITE_FACTOR = 4;
const REWRITE_BYTES_MIN = 1024 * 1024;
/** Rows in one line of a log that is written anew. */
const ROWS_PER_LINE = 500;
const CHECKSUM_LENGTH = 16;

/** Opens the store in a folder, and makes it when there is none. One process at a time. */
export async function openFileStore(folder: string, nowMs: () => number = Date.now): Promise<Store> {
  try {
    await mkdir(folder, { recursive: true });
    const lock = await FolderLock.take(folder);
    try {
      return new TableStore(await FileTables.open(folder, lock), nowMs);
    } catch (error) {
      await lock.release();
      throw error;
    }
  } catch (error) {
    throw storeError(error);
  }
}

/** Tables in memory with a log of their transactions: one line for each, which counts when its checksum is right. */
class FileTables extends MemoryTables {
  override readonly durability = 'durable';
  /** Of the log when it was last written anew. */
  private contentBytes = 0;
  private bytes = 0;
  /** Writing failed and could not be taken back: nothing more may be appended. */
  private broken: StoreError | undefined;

  private constructor(
    private readonly folder: string,
    private readonly lock: FolderLock,
    private log: FileHandle,
  ) {
    super();
  }

  static async open(folder: string, lock: FolderLock): Promise<FileTables> {
    await rm(join(folder, `${LOG}.new`), { force: true });
    const log = await open(join(folder, LOG), 'a+');
    const tables = new FileTables(folder, lock, log);
    try {
      await tables.read();
    } catch (error) {
      await log.close();
      throw error;
    }
    return tables;
  }

  private async read(): Promise<void> {
    const content = await readFile(join(this.folder, LOG));
    let from = 0;
    let broken = false;
    while (from < content.length) {
      const end = content.indexOf(0x0a, from);
      const line = end < 0 ? undefined : parseLine(content.toString('utf8', from, end));
      if (line === undefined) {
        broken = true;
        // Only the end can be half written.
        if (end >= 0 && end + 1 < content.length) throw new StoreError('corrupt', `the log is damaged at byte ${from}`);
        break;
      }
      this.take(line);
      from = end + 1;
    }
    if (broken) {
      await this.log.truncate(from);
      await this.log.sync();
    }
    this.bytes = from;
    this.contentBytes = from;
    if (from === 0) await this.append(lineOf({ layout: LAYOUT }), 'strict');
  }

  private take(line: unknown): void {
    const { layout, writes } = line as { readonly layout?: number; readonly writes?: readonly Write[] };
    if (layout !== undefined && layout > LAYOUT) {
      throw new StoreError('newer_layout', `the store has layout ${layout}; this version knows ${LAYOUT}`);
    }
    if (layout !== undefined && layout < LAYOUT) {
      throw new StoreError('failed', `the folder has layout ${layout}, from before the first release: use another one`);
    }
    if (writes !== undefined) this.apply(writes);
  }

  protected override async keep(writes: readonly Write[], mode: WriteMode): Promise<void> {
    await this.append(lineOf({ writes }), mode);
  }

  private async append(line: string, mode: WriteMode): Promise<void> {
    if (this.broken !== undefined) throw this.broken;
    const data = Buffer.from(line);
    try {
      await this.log.appendFile(data);
      if (mode === 'strict') await this.log.datasync();
    } catch (error) {
      await this.takeBack(error);
      throw storeError(error);
    }
    this.bytes += data.length;
  }

  /** A line that may be half there would make every line after it unreadable. */
  private async takeBack(cause: unknown): Promise<void> {
    try {
      await this.log.truncate(this.bytes);
    } catch {
      this.broken = storeError(cause);
    }
  }

  override async run<R>(
    tables: readonly TableName[],
    mode: WriteMode,
    work: (tx: TableTransaction) => Promise<R>,
  ): Promise<R> {
    const result = await super.run(tables, mode, work);
    if (this.bytes > Math.max(REWRITE_BYTES_MIN, REWRITE_FACTOR * this.contentBytes))
      await this.alone(() => this.rewrite());
    return result;
  }

  /** Writes the rows as they are beside the log and puts them in its place. */
  private async rewrite(): Promise<void> {
    // Somebody else did while this waited for its turn.
    if (this.bytes <= Math.max(REWRITE_BYTES_MIN, REWRITE_FACTOR * this.contentBytes)) return;
    const path = join(this.folder, `${LOG}.new`);
    const next = await open(path, 'w');
    let bytes = 0;
    try {
      const write = async (line: string): Promise<void> => {
        const data = Buffer.from(line);
        await next.appendFile(data);
        bytes += data.length;
      };
      await write(lineOf({ layout: LAYOUT }));
      let writes: Write[] = [];
      for (const row of this.contents()) {
        writes.push(row);
        if (writes.length < ROWS_PER_LINE) continue;
        await write(lineOf({ writes }));
        writes = [];
      }
      if (writes.length > 0) await write(lineOf({ writes }));
      await next.sync();
    } finally {
      await next.close();
    }
    await rename(path, join(this.folder, LOG));
    await syncFolder(this.folder);
    await this.log.close();
    this.log = await open(join(this.folder, LOG), 'a+');
    this.bytes = bytes;
    this.contentBytes = bytes;
  }

  override async estimate(): Promise<{ readonly usedBytes?: number; readonly quotaBytes?: number }> {
    const { bavail, bsize } = await statfs(this.folder);
    return { usedBytes: this.bytes, quotaBytes: this.bytes + bavail * bsize };
  }

  override async close(): Promise<void> {
    await super.close();
    await this.log.sync().catch(() => undefined);
    await this.log.close();
    await this.lock.release();
  }
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, CHECKSUM_LENGTH);
}

function lineOf(content: object): string {
  const text = rowText(content);
  return `${checksum(text)} ${text}\n`;
}

/** Undefined when the line is not whole. */
function parseLine(line: string): unknown {
  const text = line.slice(CHECKSUM_LENGTH + 1);
  return checksum(text) === line.slice(0, CHECKSUM_LENGTH) ? rowOf(text) : undefined;
}

/** A rename is kept when its folder is. Not every system lets one. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Windows has no handles of folders; there the rename is kept by itself.
  }
}

function storeError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const code = (error as { readonly code?: unknown } | null)?.code;
  const message = error instanceof Error ? error.message : 'the file system failed';
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG')
    return new StoreError('full', message, { cause: error });
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return new StoreError('denied', message, { cause: error });
  return new StoreError('failed', message, { cause: error });
}
