import type { Pool } from "pg";

/** What happened to the right to write for one slot, in the order in which the sink committed it. */
export type HistoryEntry = {
  readonly slot: string;
  readonly fence: bigint;
  /** One session of a daemon; a daemon that connects again is another holder under the same fence. */
  readonly holder: string;
} & (
  | { readonly event: "claimed" }
  | { readonly event: "wrote"; readonly lsn: string }
  /** A daemon found that another one had claimed the slot. */
  | { readonly event: "refused" }
);

/**
 * Has the sink itself record who claims and who writes, in the transactions that do it: a row of `holdfast.replication` is locked by
 * whoever changes it, so the entries of a slot are in the order of the commits. Refusals change no row; they come from the daemons' own log.
 */
export async function recordHistory(sink: Pool): Promise<void> {
  await sink.query(`
    create schema chaos;
    create table chaos.history (
      id bigint generated always as identity primary key,
      slot_name text not null, fence bigint not null, holder uuid not null, event text not null, lsn pg_lsn
    );
    create function chaos.record() returns trigger language plpgsql as $$
    begin
      if tg_op = 'INSERT' or (new.holder, new.fence) is distinct from (old.holder, old.fence) then
        insert into chaos.history (slot_name, fence, holder, event) values (new.slot_name, new.fence, new.holder, 'claimed');
      end if;
      if tg_op = 'UPDATE' and new.lsn is distinct from old.lsn then
        insert into chaos.history (slot_name, fence, holder, event, lsn)
        values (new.slot_name, new.fence, new.holder, 'wrote', new.lsn);
      end if;
      return null;
    end $$;
    create function chaos.record_refusal() returns trigger language plpgsql as $$
    begin
      insert into chaos.history (slot_name, fence, holder, event) values (new.slot_name, new.fence, new.holder, 'refused');
      return null;
    end $$;
    insert into chaos.history (slot_name, fence, holder, event)
      select slot_name, fence, holder, 'claimed' from holdfast.replication;
    create trigger record after insert or update on holdfast.replication for each row execute function chaos.record();
    create trigger record after insert on holdfast.fence_log for each row when (new.event = 'refused')
      execute function chaos.record_refusal();
  `);
}

export async function readHistory(sink: Pool): Promise<readonly HistoryEntry[]> {
  const { rows } = await sink.query<{ slot: string; fence: string; holder: string; event: string; lsn: string | null }>(
    "select slot_name as slot, fence, holder, event, lsn from chaos.history order by id",
  );
  return rows.map(({ slot, fence, holder, event, lsn }) => {
    const common = { slot, fence: BigInt(fence), holder };
    if (event === "wrote") return { ...common, event, lsn: lsn ?? "0/0" };
    return { ...common, event: event === "claimed" ? "claimed" : "refused" };
  });
}
