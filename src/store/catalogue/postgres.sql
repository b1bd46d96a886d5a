WITH visible AS (
  SELECT oid, relname::text AS of_table, relkind, relpersistence, relrowsecurity
  FROM pg_catalog.pg_class
  WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_catalog.pg_table_is_visible(oid)
    AND relnamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname LIKE 'pg\_%' OR nspname = 'information_schema')
)
SELECT of_table, kind, name, pg_catalog.regexp_replace(definition, '\s+', ' ', 'g') AS definition, counts_if_added FROM (
  SELECT of_table, 'table' AS kind, of_table AS name,
         relkind::text || relpersistence::text || CASE WHEN relrowsecurity THEN ' row security' ELSE '' END AS definition, false AS counts_if_added
  FROM visible
  UNION ALL
  SELECT of_table, 'column', attname::text,
         pg_catalog.concat_ws(' ', pg_catalog.format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'NOT NULL' END,
                   (SELECT 'COLLATE ' || collname FROM pg_catalog.pg_collation c WHERE c.oid = attcollation AND collname <> 'default'),
                   'DEFAULT ' || pg_catalog.pg_get_expr(adbin, adrelid, true), nullif(attidentity::text, ''), nullif(attgenerated::text, '')),
         true
  FROM visible JOIN pg_catalog.pg_attribute ON attrelid = visible.oid AND attnum > 0 AND NOT attisdropped
  LEFT JOIN pg_catalog.pg_attrdef ON adrelid = attrelid AND adnum = attnum
  UNION ALL
  SELECT of_table, 'constraint', conname::text,
         pg_catalog.pg_get_constraintdef(c.oid, true) || CASE WHEN convalidated THEN '' ELSE ' not validated' END, true
  FROM visible JOIN pg_catalog.pg_constraint c ON conrelid = visible.oid AND contype IN ('p', 'u', 'c', 'f', 'x')
  UNION ALL
  SELECT of_table, 'index', i.relname::text,
         pg_catalog.pg_get_indexdef(indexrelid, 0, true) || CASE WHEN indisvalid AND indisready THEN '' ELSE ' invalid' END, indisunique
  FROM visible JOIN pg_catalog.pg_index ON indrelid = visible.oid JOIN pg_catalog.pg_class i ON i.oid = indexrelid
  UNION ALL
  SELECT of_table, 'trigger', tgname::text,
         pg_catalog.concat_ws(' ', pg_catalog.pg_get_triggerdef(t.oid, true), tgenabled::text, prosrc), true
  FROM visible JOIN pg_catalog.pg_trigger t ON tgrelid = visible.oid AND NOT tgisinternal JOIN pg_catalog.pg_proc p ON p.oid = tgfoid
  UNION ALL
  SELECT of_table, 'rule', rulename::text, pg_catalog.pg_get_ruledef(r.oid, true), true
  FROM visible JOIN pg_catalog.pg_rewrite r ON ev_class = visible.oid
  UNION ALL
  SELECT of_table, 'policy', polname::text, coalesce(pg_catalog.pg_get_expr(polqual, polrelid, true), ''), true
  FROM visible JOIN pg_catalog.pg_policy ON polrelid = visible.oid
  UNION ALL
  SELECT of_table, 'heir', inhrelid::regclass::text, '', true
  FROM visible JOIN pg_catalog.pg_inherits ON inhparent = visible.oid
  UNION ALL
  SELECT '', 'function', p.oid::pg_catalog.regprocedure::text, '', true
  FROM pg_catalog.pg_proc p
  WHERE p.pronamespace IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY (pg_catalog.current_schemas(false)))
    AND EXISTS (SELECT FROM pg_catalog.pg_proc own
                WHERE own.proname = p.proname AND own.pronamespace = 'pg_catalog'::pg_catalog.regnamespace)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend WHERE classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                    AND objid = p.oid AND deptype = 'e')
  UNION ALL
  SELECT '', 'operator', o.oid::pg_catalog.regoperator::text, '', true
  FROM pg_catalog.pg_operator o
  WHERE o.oprnamespace IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY (pg_catalog.current_schemas(false)))
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend WHERE classid = 'pg_catalog.pg_operator'::pg_catalog.regclass
                    AND objid = o.oid AND deptype = 'e')
) AS parts
ORDER BY 1, 2, 3
