// Who is never banned: written in one place, in force in every jail at once.
import type { NeverBan } from './api';
import { call } from './request';

export interface NeverBanBody { entry: string; note?: string; duration?: number; jails?: string[]; until?: string | null }

export function addNeverBan(body: NeverBanBody): Promise<NeverBan> {
  return call('POST /never-ban', { body });
}
