SELECT extract(year FROM o_orderdate) AS year,
	sum(CASE WHEN sold.n_name = 'BRAZIL' THEN l_extendedprice * (1 - l_discount) ELSE 0 END) / sum(l_extendedprice * (1 - l_discount)) AS share
FROM part
JOIN lineitem ON l_partkey = p_partkey
JOIN supplier ON s_suppkey = l_suppkey
JOIN nation AS sold ON sold.n_nationkey = s_nationkey
JOIN orders ON o_orderkey = l_orderkey
JOIN customer ON c_custkey = o_custkey
JOIN nation AS bought ON bought.n_nationkey = c_nationkey
JOIN region ON r_regionkey = bought.n_regionkey
WHERE r_name = 'AMERICA' AND p_type = 'ECONOMY ANODIZED STEEL' AND o_orderdate BETWEEN date '1995-01-01' AND date '1996-12-31'
GROUP BY 1
ORDER BY 1
