//! Products of Householder reflections, and R as a function of the reflections X that are trained.
//!
//! Plain arithmetic in f64, so that R stays orthonormal to the rounding of f32; [`super::rotations`] puts it to
//! work. A product of `rank` reflections is applied to `rank` columns in O(hidden·rank²).

/// Columns of a tall matrix.
pub type Columns = Vec<Vec<f64>>;

/// The orthogonal matrix that turns H(X) into R.
#[derive(Debug)]
pub enum Base {
    /// A product of reflections, its first columns flipped where the sign is −1.
    Factored {
        reflections: Reflections,
        signs: Vec<f64>,
    },
    Dense(Columns),
}

impl Base {
    /// matrix ← base · matrix
    fn apply(&self, matrix: &mut Columns) {
        match self {
            Base::Factored { reflections, signs } => {
                flip_rows(matrix, signs);
                reflections.apply(matrix);
            }
            Base::Dense(base) => {
                for column in matrix {
                    let mut product = vec![0.0; column.len()];
                    base.iter()
                        .zip(column.iter())
                        .for_each(|(direction, &amount)| add(&mut product, amount, direction));
                    *column = product;
                }
            }
        }
    }

    /// matrix ← baseᵀ · matrix
    fn apply_transposed(&self, matrix: &mut Columns) {
        match self {
            Base::Factored { reflections, signs } => {
                reflections.apply_transposed(matrix);
                flip_rows(matrix, signs);
            }
            Base::Dense(base) => {
                for column in matrix {
                    *column = base.iter().map(|direction| dot(direction, column)).collect();
                }
            }
        }
    }
}

/// H₁H₂…H_r, where H_i = I − s_i v_i v_iᵀ, and v_i is 0 above row i and 1 in row i.
#[derive(Debug)]
pub struct Reflections {
    /// v_i
    pub vectors: Columns,
    /// s_i
    pub scales: Vec<f64>,
}

impl Reflections {
    /// The reflections that lie under the diagonal of a matrix.
    fn under_diagonal(mut matrix: Columns) -> Self {
        for (index, vector) in matrix.iter_mut().enumerate() {
            vector[..index].fill(0.0);
            vector[index] = 1.0;
        }
        let scales = matrix.iter().map(|vector| 2.0 / dot(vector, vector)).collect();
        Self { vectors: matrix, scales }
    }

    /// The reflections of a QR factorisation, and the signs (±1) of the diagonal of the upper triangle.
    pub fn factor(mut matrix: Columns) -> (Self, Vec<f64>) {
        let mut reflections = Self { vectors: Vec::new(), scales: Vec::new() };
        let mut signs = Vec::new();
        for index in 0..matrix.len() {
            let mut vector = matrix[index].clone();
            vector[..index].fill(0.0);
            let (head, norm) = (vector[index], dot(&vector, &vector).sqrt());
            // The sign that adds to the head of the column, never cancels with it.
            let diagonal = if head > 0.0 { -norm } else { norm };
            let pivot = head - diagonal;
            let scale = if pivot == 0.0 {
                0.0
            } else {
                vector.iter_mut().for_each(|entry| *entry /= pivot);
                vector[index] = 1.0;
                2.0 / dot(&vector, &vector)
            };
            matrix[index..].iter_mut().for_each(|column| reflect(column, &vector, scale, index));
            signs.push(if diagonal < 0.0 { -1.0 } else { 1.0 });
            reflections.vectors.push(vector);
            reflections.scales.push(scale);
        }
        (reflections, signs)
    }

    /// matrix ← H₁…H_r · matrix
    pub fn apply(&self, matrix: &mut Columns) {
        for index in (0..self.scales.len()).rev() {
            self.reflect(index, matrix);
        }
    }

    /// matrix ← H_r…H₁ · matrix
    fn apply_transposed(&self, matrix: &mut Columns) {
        for index in 0..self.scales.len() {
            self.reflect(index, matrix);
        }
    }

    fn reflect(&self, index: usize, matrix: &mut Columns) {
        matrix.iter_mut().for_each(|column| reflect(column, &self.vectors[index], self.scales[index], index));
    }
}

/// R as a function of X, both as columns.
pub fn rotation(base: &Base, original: &Columns) -> Columns {
    let mut matrix = unit_columns(original[0].len(), original.len());
    Reflections::under_diagonal(original.clone()).apply(&mut matrix);
    scale_columns(&mut matrix, &diagonal_signs(original));
    base.apply(&mut matrix);
    matrix
}

/// The gradient of X from that of R.
///
/// With Q = H₁…H_r E, Z_i = H_{i+1}…H_r E and G_i = H_{i−1}…H₁ dQ, the gradient of H_i is G_i Z_iᵀ. A reflection is its own
/// inverse, so that Z_i = H_i Z_{i−1} needs nothing stored.
pub fn rotation_gradient(base: &Base, original: &Columns, mut gradient: Columns) -> Columns {
    base.apply_transposed(&mut gradient);
    scale_columns(&mut gradient, &diagonal_signs(original));
    let reflections = Reflections::under_diagonal(original.clone());
    let mut product = unit_columns(original[0].len(), original.len());
    reflections.apply(&mut product);

    let mut result = Columns::new();
    for (index, (vector, &scale)) in reflections.vectors.iter().zip(&reflections.scales).enumerate() {
        reflections.reflect(index, &mut product);
        let (mut crossed, mut slope) = (0.0, vec![0.0; vector.len()]);
        for (after, before) in product.iter().zip(&gradient) {
            let (after_part, before_part) = (dot(after, vector), dot(before, vector));
            add(&mut slope, -scale * after_part, before);
            add(&mut slope, -scale * before_part, after);
            crossed += after_part * before_part;
        }
        // The scale 2/(vᵀv) moves with v too.
        add(&mut slope, scale * scale * crossed, vector);
        slope[..=index].fill(0.0);
        result.push(slope);
        reflections.reflect(index, &mut gradient);
    }
    result
}

fn reflect(column: &mut [f64], vector: &[f64], scale: f64, from: usize) {
    let amount = scale * dot(&column[from..], &vector[from..]);
    add(&mut column[from..], -amount, &vector[from..]);
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn add(sum: &mut [f64], amount: f64, direction: &[f64]) {
    sum.iter_mut().zip(direction).for_each(|(entry, part)| *entry += amount * part);
}

/// The first columns of the unit matrix.
pub fn unit_columns(rows: usize, columns: usize) -> Columns {
    (0..columns).map(|column| (0..rows).map(|row| f64::from(row == column)).collect()).collect()
}

/// The first columns of −1 times the unit matrix.
pub fn negative_unit_columns(rows: usize, columns: usize) -> Columns {
    let mut matrix = unit_columns(rows, columns);
    matrix.iter_mut().flatten().for_each(|entry| *entry = -*entry + 0.0);
    matrix
}

fn diagonal_signs(original: &Columns) -> Vec<f64> {
    let sign = |(index, column): (usize, &Vec<f64>)| if column[index] < 0.0 { -1.0 } else { 1.0 };
    original.iter().enumerate().map(sign).collect()
}

/// Multiplies each column by its sign.
pub fn scale_columns(matrix: &mut Columns, signs: &[f64]) {
    for (column, sign) in matrix.iter_mut().zip(signs) {
        column.iter_mut().for_each(|entry| *entry *= sign);
    }
}

fn flip_rows(matrix: &mut Columns, signs: &[f64]) {
    for column in matrix {
        column.iter_mut().zip(signs).for_each(|(entry, sign)| *entry *= sign);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervention::random::{Key, Purpose};
    use rand::Rng;
    use rand_distr::StandardNormal;

    fn gaussian(rows: usize, columns: usize, position: usize) -> Columns {
        let key = Key { seed: 9, purpose: Purpose::Start, epoch: 0, row: 0, site: 0, position };
        let mut stream = key.stream();
        (0..columns).map(|_| (0..rows).map(|_| stream.sample(StandardNormal)).collect()).collect()
    }

    fn bases(rows: usize, columns: usize) -> [Base; 2] {
        let (reflections, signs) = Reflections::factor(gaussian(rows, columns, 1));
        let mut dense = unit_columns(rows, rows);
        let (all, _) = Reflections::factor(gaussian(rows, rows, 2));
        all.apply(&mut dense);
        [Base::Factored { reflections, signs }, Base::Dense(dense)]
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        for (rows, columns) in [(7, 1), (9, 3), (4, 4)] {
            for base in bases(rows, columns) {
                let mut original = gaussian(rows, columns, 3);
                original.iter_mut().enumerate().for_each(|(index, column)| column[index] = -1.0);
                let weights = gaussian(rows, columns, 4);
                let value = |original: &Columns| {
                    rotation(&base, original).iter().zip(&weights).map(|(left, right)| dot(left, right)).sum::<f64>()
                };
                let gradient = rotation_gradient(&base, &original, weights.clone());
                for (column, row) in (0..columns).flat_map(|column| (0..rows).map(move |row| (column, row))) {
                    let step = 1e-6;
                    let (mut above, mut below) = (original.clone(), original.clone());
                    above[column][row] += step;
                    below[column][row] -= step;
                    let slope = (value(&above) - value(&below)) / (2.0 * step);
                    assert!(
                        (gradient[column][row] - slope).abs() < 1e-7,
                        "{row} {column}: {} {slope}",
                        gradient[column][row]
                    );
                }
            }
        }
    }

    #[test]
    fn columns_are_orthonormal_wherever_x_is() {
        for base in bases(12, 5) {
            let matrix = rotation(&base, &gaussian(12, 5, 5));
            for (left, right) in (0..5).flat_map(|left| (0..5).map(move |right| (left, right))) {
                let product = dot(&matrix[left], &matrix[right]);
                assert!((product - f64::from(left == right)).abs() < 1e-12, "{left} {right} {product}");
            }
        }
    }
}
