-- How long a token lives as it was issued, null for ever: its end comes sooner where it is rotated. Copies of the version before do not say it.
alter table tokens add column life interval;
update tokens set life = expires_at - created_at where expires_at is not null;

create function note_token_life() returns trigger language plpgsql as $$
begin
  new.life := new.expires_at - new.created_at;
  return new;
end $$;
create trigger note_token_life before insert on tokens
  for each row when (new.expires_at is not null) execute function note_token_life();

-- What refers to rows that are deleted in portions: without an index each of them is a scan. The newest test of a worker is looked for, too.
create index tokens_of_session on tokens (session_id) where session_id is not null;
create index connection_tests_of_session on connection_tests (session_id, asked_at);
create index connection_tests_of_datasource on connection_tests (datasource_id);
