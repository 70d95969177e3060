SELECT sum(l_extendedprice) / 7.0 AS yearly
FROM lineitem AS l
JOIN part ON p_partkey = l_partkey
WHERE p_brand = 'Brand#23' AND p_container = 'MED BOX'
	AND l_quantity < (SELECT 0.2 * avg(l_quantity) FROM lineitem AS same WHERE same.l_partkey = l.l_partkey)
