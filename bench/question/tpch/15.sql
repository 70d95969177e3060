WITH earned AS (
	SELECT l_suppkey, sum(l_extendedprice * (1 - l_discount)) AS revenue
	FROM lineitem
	WHERE l_shipdate >= date '1996-01-01' AND l_shipdate < date '1996-04-01'
	GROUP BY l_suppkey
)
SELECT s_suppkey, s_name, s_address, s_phone, revenue
FROM supplier
JOIN earned ON l_suppkey = s_suppkey
WHERE revenue = (SELECT max(revenue) FROM earned)
ORDER BY s_suppkey
