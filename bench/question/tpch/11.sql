WITH stock AS (
	SELECT ps_partkey, sum(ps_supplycost * ps_availqty) AS worth
	FROM nation
	JOIN supplier ON s_nationkey = n_nationkey
	JOIN partsupp ON ps_suppkey = s_suppkey
	WHERE n_name = 'GERMANY'
	GROUP BY ps_partkey
)
SELECT ps_partkey, worth
FROM stock
WHERE worth > (SELECT sum(worth) * 0.0001 FROM stock)
ORDER BY worth DESC, ps_partkey
