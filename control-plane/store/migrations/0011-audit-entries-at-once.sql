-- Chains entries and adds them: their head is read and written once, not for each of them. Those of the same chain stand together.
-- Takes the head's lock until the end of the transaction: entries are chained in the order of commits.
create function add_audit_entries(entries audit_log[]) returns void language plpgsql as $$
declare
  entry audit_log;
  head audit_heads;
  chained audit_log[] := '{}';
begin
  foreach entry in array entries loop
    if entry.deployment_id is distinct from head.deployment_id then
      update audit_heads h set seq = head.seq, hash = head.hash where h.deployment_id = head.deployment_id;
      select * into head from audit_heads h where h.deployment_id = entry.deployment_id for update;
      if not found then
        insert into audit_heads values (entry.deployment_id, 0, '') on conflict do nothing;
        select * into head from audit_heads h where h.deployment_id = entry.deployment_id for update;
      end if;
    end if;
    entry.seq := head.seq + 1;
    entry.hash := audit_hash(head.hash, entry);
    head.seq := entry.seq;
    head.hash := entry.hash;
    chained := chained || entry;
  end loop;
  update audit_heads h set seq = head.seq, hash = head.hash where h.deployment_id = head.deployment_id;
  insert into audit_log select * from unnest(chained);
end $$;

-- Copies of the version before add entries without a hash, which are chained one by one.
drop trigger chain_audit_entry on audit_log;
create trigger chain_audit_entry before insert on audit_log
  for each row when (new.hash = '') execute function chain_audit_entry();
